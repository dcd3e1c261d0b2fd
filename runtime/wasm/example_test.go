package wasm_test

import (
	"fmt"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// A module that imports one function, under rules that know it and rules that do not.
func ExampleRead() {
	code := []byte("\x00asm\x01\x00\x00\x00" + // header
		"\x01\x05\x01\x60\x01\x7f\x00" + // type 0: (i32) -> ()
		"\x02\x0b\x01\x03env\x03log\x00\x00") // import env.log, of type 0

	m, err := wasm.Read(code, wasm.Rules{Import: func(module, name string, t wasm.FuncType) error { return nil }})
	fmt.Println(m.Imports, err)

	_, err = wasm.Read(code, wasm.Rules{})
	fmt.Println(err)
	// Output:
	// [{env log (i32) -> ()}] <nil>
	// wasm: import section at 0x12: imports "log" of "env", but nothing may be imported
}
