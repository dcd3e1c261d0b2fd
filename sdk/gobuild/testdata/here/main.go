// Command here is the smallest task, for the tests of gobuild.
package main

//go:wasmexport caisson_run
func run() int32 { return 0 }

func main() {}
