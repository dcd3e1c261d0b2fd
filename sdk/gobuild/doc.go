// Package gobuild turns the Go source of a task into a module: it runs the Go toolchain for wasip1 in reactor form.
//
// It never downloads a toolchain of its own, interprets the source or looks into the module beyond its first bytes. It runs the go
// command with the rights and the environment of its caller, so build only source that you would run.
//
//	err := gobuild.Build(ctx, "examples/thumbnail", "thumbnail.wasm")
//
// is, in the folder examples/thumbnail:
//
//	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -buildmode=c-shared -buildvcs=false -trimpath \
//	    -ldflags="-s -w -buildid=" -o thumbnail.wasm .
//
// The folder may be in any module, also one that is not the caller's: its own go.mod decides about dependencies. Paths, commits and build ids are kept out of the module, so that the same source, dependencies
// and toolchain give the same digest everywhere.
//
// The go command is the one on PATH, else the one in GOROOT, else the one where Go's installer puts it. A build takes
// at most [TimeMax], and the part of its output that is kept is bounded.
package gobuild
