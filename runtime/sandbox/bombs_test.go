package sandbox_test

import (
	"bytes"
	"slices"
)

// Modules that take wazero v1.12.0 minutes or gigabytes to compile. The gate takes a function as long as its blocks and locals multiply to no more than it says;
// so those that pass it have several.

// bombLoops nests n loops around reads and writes of many locals: each loop has a value for each local.
func bombLoops(n, locals int) []byte {
	code := bytes.Repeat([]byte{0x03, 0x40}, n)
	for i := range locals { // local.get i, i32.const 1, i32.add, local.set i
		code = cat(code, []byte{0x20}, uleb(i), []byte{0x41, 1, 0x6a, 0x21}, uleb(i))
	}
	code = cat(code, bytes.Repeat([]byte{0x41, 0, 0x0d, 0, 0x0b}, n)) // br_if 0 out of nothing, end
	return bombModule(nil, locals, code)
}

// bombParams nests n loops that each take and give as many values.
func bombParams(n, values int) []byte {
	list := cat(uleb(values), bytes.Repeat([]byte{0x7f}, values))
	code := cat(bytes.Repeat([]byte{0x41, 0}, values), bytes.Repeat([]byte{0x03, 1}, n),
		bytes.Repeat([]byte{0x41, 0, 0x0d, 0, 0x0b}, n), bytes.Repeat([]byte{0x1a}, values))
	return bombModule(cat([]byte{0x60}, list, list), 1, code)
}

// bombIfs changes one of many locals in each of n branches: each join has a value for each local.
func bombIfs(n, locals int) []byte {
	var code []byte
	for i := range n { // i32.const 0, if, local.get, i32.const 1, i32.add, local.set, end
		local := uleb(i % locals)
		code = cat(code, []byte{0x41, 0, 0x04, 0x40, 0x20}, local, []byte{0x41, 1, 0x6a, 0x21}, local, []byte{0x0b})
	}
	for i := range locals {
		code = cat(code, []byte{0x20}, uleb(i), []byte{0x1a})
	}
	return bombModule(nil, locals, code)
}

// bombCopies is how many functions a bomb has: within the gate, each of them takes some part of a second.
const bombCopies = 20

// bombModule is a reactor of equal functions with locals; typ is type 1.
func bombModule(typ []byte, locals int, code []byte) []byte {
	types := [][]byte{{0x60, 0, 1, 0x7f}}
	if typ != nil {
		types = append(types, typ)
	}
	body := slices.Concat([]byte{1}, uleb(locals), []byte{0x7f}, code, []byte{0x41, 0, 0x0b})
	return cat(header, section(1, types...), section(3, slices.Repeat([][]byte{{0}}, bombCopies)...), section(5, []byte{0, 1}),
		section(7, cat(str("caisson_run"), []byte{0, 0})), section(10, slices.Repeat([][]byte{cat(uleb(len(body)), body)}, bombCopies)...))
}
