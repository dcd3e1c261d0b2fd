// Package strict turns a TOML file into a Go struct, or into every fault of the file at once,
// each with file, line and column.
//
// It never guesses: an unknown key, a key in another case, a wrong type, a key set twice, a byte
// order mark, a NUL or bytes that are not UTF-8 are faults, not warnings. It never reads a file,
// and it imports no other room.
//
// # Rules
//
// The text is TOML 1.0. A struct field is filled from the key in its `toml:"name"` tag; fields
// without a tag are not filled, and those of an embedded struct count as the outer one's. Fields may be string, bool, signed and unsigned integers, float64
// (finite only), structs, slices, maps with string keys, pointers to these (nil when the key is
// absent), and any type with UnmarshalText (from a string). Dates and times have no use in our
// files and are faults everywhere.
//
// A key is written as it is in the file, with dots between the parts and the index of an array
// element in brackets, from 0: limits.memory, principal[2].keys[0]. A part that is not a bare TOML
// key is quoted: tenant."a.b".name. Columns count characters from 1. A fault stands at its key,
// or at the array element it is about.
//
// One fault of syntax ends the reading: what follows it cannot be known, and [File.Complete] tells
// so. All other faults are collected. Semantic faults found by the caller are added with
// [File.Fault], and [File.Err] gives all of them together, sorted by position.
//
// # Limits
//
// A file has at most FileSizeMax bytes, ItemsMax keys and array elements, DepthMax levels and keys
// of KeySizeMax bytes with all that they stand in; at most FaultsMax faults are kept.
package strict
