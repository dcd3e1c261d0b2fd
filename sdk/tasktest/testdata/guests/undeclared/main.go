// Command undeclared imports a function that its manifest does not need. It is written without sdk/guest, to be small.
package main

import "unsafe"

//go:wasmimport caisson kv_get
func kvGet(ptr unsafe.Pointer, size uint32) int32

//go:wasmexport caisson_run
func run() int32 { return kvGet(nil, 0) }

func main() {}
