// Package modstore keeps modules and releases, and resolves a task's name to the release to run and
// the very bytes of its module.
//
// A store is not trusted. It never decides anything: whatever it returns is verified by
// manifest.OpenRelease and hashed by Bind, in the buffer that is then run. This package holds no
// keys and knows no policy; it asks manifest.Publishers.
//
// # What is kept
//
//	modules/sha256/HEX.wasm          a module, under the digest of its bytes
//	releases/TASK/NUMBER.json        a release; NUMBER has 16 digits, so names sort as numbers
//
// Names are written once: putting the same bytes again is no error, putting other bytes under a
// name is. A name says where to look and nothing more: a release stored under another task or
// number than it was signed for is rejected.
//
// [Dir] keeps them as files of a directory, [Over] as named [Blobs], such as those in Redis.
//
// # Resolving
//
// [Find] goes through a task's releases, newest first, and takes the first that an accepted
// publisher signed; when a module is pinned, the first that is also of that module. What does not
// hold is skipped and reported to Query.Rejected, so that one bad release cannot hide the good ones.
// A release below Query.Floor is refused, pinned or not: only who keeps the floor can allow a
// rollback. A module whose bytes are not those that were signed is refused; an older release is not
// tried in its place, since damage in the store must not choose what runs.
//
// # Limits
//
// releasesMax releases of one task; sizes as in package manifest.
package modstore
