// Package guesttest gives tests and benchmarks guests from real toolchains: each is built once per machine and content.
//
// It is not part of the product: nothing that ships imports it. It never downloads anything; that is the work of install.sh, which
// `make install-tools` runs. A toolchain that is not there is an error that says so, never a reason to skip.
//
//	wasm := guesttest.Build(t, "rust/json")
//
// A name is toolchain/guest. The toolchains:
//
//	go      standard Go, GOOS=wasip1
//	c       clang, lld and wasi-libc
//	zigcc   the same C sources by Zig's clang and its own wasi-libc
//	rust    Debian's rustc with its standard library for WASI
//	as      AssemblyScript with @assemblyscript/wasi-shim
//	zig     Zig
//
// The guests of each: echo is a command that copies stdin to stdout; tiny is a reactor that reads at most 64 bytes and answers "ok" and how many
// they were in two digits; json is a reactor that turns {"A":1,"B":2} into {"Sum":3}, fails with 65 on other input, and with 70 when its state
// is not that of a fresh instance. go, c and rust also have compute, the set that metering is measured with: see [Works].
//
// Besides, [Programs] are modules of others that a package ships, taken as they are.
//
// What is built stays in the folder caisson-guests of the user's cache, under a hash of source, commands and the toolchain's version, so that a change
// of any builds anew. Any number of processes may build at once.
package guesttest
