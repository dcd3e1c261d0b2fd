package host_test

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

// A wrapper is a hand-assembled guest: a memory of one page, and for each import a function of the same name that calls it.
//
//	(module (import "m" "f" (func $f (param ...) (result ...))) ...
//	  (memory (export "memory") 1)
//	  (func (export "f") (param ...) (result ...) local.get 0 ... call $f) ...)
type wrapped struct {
	module, name    string
	params, results []api.ValueType
}

func wrapperModule(imports []wrapped, withMemory bool) []byte {
	var types, ims, funcs, exports, code [][]byte
	for i, f := range imports {
		types = append(types, cat([]byte{0x60}, vec(f.params), vec(f.results)))
		ims = append(ims, cat(str(f.module), str(f.name), []byte{0}, uleb(i)))
		funcs = append(funcs, uleb(i))
		exports = append(exports, cat(str(f.name), []byte{0}, uleb(len(imports)+i)))
		body := []byte{0} // no locals
		for p := range f.params {
			body = cat(body, []byte{0x20}, uleb(p))
		}
		body = cat(body, []byte{0x10}, uleb(i), []byte{0x0b})
		code = append(code, cat(uleb(len(body)), body))
	}
	if withMemory {
		exports = append(exports, cat(str("memory"), []byte{2, 0}))
	}
	m := cat([]byte("\x00asm\x01\x00\x00\x00"), section(1, types), section(2, ims), section(3, funcs))
	if withMemory {
		m = cat(m, section(5, [][]byte{{0, 1}}))
	}
	return cat(m, section(7, exports), section(10, code))
}

func section(id byte, entries [][]byte) []byte {
	body := cat(append([][]byte{uleb(len(entries))}, entries...)...)
	return cat([]byte{id}, uleb(len(body)), body)
}

func vec(b []byte) []byte { return cat(uleb(len(b)), b) }
func str(s string) []byte { return vec([]byte(s)) }
func uleb(n int) []byte   { return binary.AppendUvarint(nil, uint64(n)) }
func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
