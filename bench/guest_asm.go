package main

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/caisson-run/caisson/host/abi"
)

// Guests that are written by hand: the smallest there is, and those that run away.

// Types of functions, as the type section holds them.
const (
	typeRun    = "\x60\x00\x01\x7f"                 // () -> i32
	typeAlloc  = "\x60\x01\x7f\x01\x7f"             // (i32) -> i32
	typeDirect = "\x60\x02\x7f\x7f\x01\x7e"         // (i32, i32) -> i64
	typeCall   = "\x60\x02\x7f\x7f\x01\x7f"         // (i32, i32) -> i32
	typePoll   = "\x60\x04\x7f\x7f\x7f\x7f\x01\x7f" // (i32, i32, i32, i32) -> i32
	typeLog    = "\x60\x03\x7f\x7f\x7f\x01\x7f"     // (i32, i32, i32) -> i32
	typeTree   = "\x60\x01\x7f\x00"                 // (i32) -> ()
)

// An asmFunction is imported, when module is set, or has code.
type asmFunction struct {
	kind   string // its type
	module string // imported from here
	name   string // imported or exported under this name; an own function without one is not exported
	code   string // without locals
	table  bool   // it is an element of the module's table
}

// assemble makes a module of one exported memory with data at its start. Imports come first.
func assemble(pages int, data string, functions ...asmFunction) []byte {
	var types, imports, own, elements, bodies [][]byte
	exports := [][]byte{cat(text("memory"), "\x02\x00")}
	for i, f := range functions {
		types = append(types, []byte(f.kind))
		if f.table {
			elements = append(elements, number(i))
		}
		switch {
		case f.module != "":
			imports = append(imports, cat(text(f.module), string(text(f.name)), "\x00", string(number(i))))
		default:
			own = append(own, number(i))
			body := cat([]byte{0}, f.code, "\x0b")
			bodies = append(bodies, cat(number(len(body)), string(body)))
			if f.name != "" {
				exports = append(exports, cat(text(f.name), "\x00", string(number(i))))
			}
		}
	}
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(1, types)...)
	if len(imports) > 0 {
		m = append(m, section(2, imports)...)
	}
	m = append(m, section(3, own)...)
	if len(elements) > 0 {
		m = append(m, section(4, [][]byte{cat([]byte("\x70\x00"), string(number(len(elements))))})...)
	}
	m = append(m, section(5, [][]byte{cat([]byte{0}, string(number(pages)))})...)
	m = append(m, section(7, exports)...)
	if len(elements) > 0 {
		m = append(m, section(9, [][]byte{cat([]byte("\x00\x41\x00\x0b"), string(vector(elements)))})...)
	}
	m = append(m, section(10, bodies)...)
	if data != "" {
		m = append(m, section(11, [][]byte{cat([]byte("\x00\x41\x00\x0b"), string(text(data)))})...)
	}
	return m
}

func section(id byte, entries [][]byte) []byte {
	body := vector(entries)
	return cat([]byte{id}, string(number(len(body))), string(body))
}

func vector(entries [][]byte) []byte {
	return cat(number(len(entries)), string(bytes.Join(entries, nil)))
}

func number(n int) []byte  { return binary.AppendUvarint(nil, uint64(n)) }
func text(s string) []byte { return cat(number(len(s)), s) }

func cat(first []byte, rest ...string) []byte {
	for _, s := range rest {
		first = append(first, s...)
	}
	return first
}

// tinyGuest does nothing and answers nothing, by each way in.
func tinyGuest() []byte {
	return assemble(1, "",
		asmFunction{kind: typeRun, name: abi.ExportRun, code: "\x41\x00"},
		asmFunction{kind: typeAlloc, name: "alloc", code: "\x41\x00"},
		asmFunction{kind: typeDirect, name: "run", code: "\x42\x00"})
}

// hangURL is what the guest http fetches. The host of the benchmark leads it to a server that never answers.
const hangURL = "https://example.com/hang"

// runaways are the guests that only a limit ends, in the order of the design's list.
func runaways() []runaway {
	run := func(code string) asmFunction { return asmFunction{kind: typeRun, name: abi.ExportRun, code: code} }
	// The subscription of one clock, by WASI preview 1: userdata, tag 0, id monotonic, a year in nanoseconds.
	year := "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" +
		string(binary.LittleEndian.AppendUint64(nil, 365*24*3600*1e9)) + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
	get := frame("GET", hangURL, "")
	return []runaway{
		{"loop", assemble(1, "", run("\x03\x40\x0c\x00\x0b\x00"))}, // loop (br 0), unreachable
		// f(n) calls f(n-1) twice: 2^63 calls, no loop anywhere, and a stack of 63 frames.
		{"call tree", assemble(1, "", run("\x41\x3f\x10\x01\x41\x00"),
			asmFunction{kind: typeTree, code: "\x20\x00\x45\x04\x40\x0f\x0b" + "\x20\x00\x41\x01\x6b\x10\x01" + "\x20\x00\x41\x01\x6b\x10\x01"})},
		// The same through a table.
		{"indirect tree", assemble(1, "", run("\x41\x3f\x10\x01\x41\x00"),
			asmFunction{kind: typeTree, table: true, code: "\x20\x00\x45\x04\x40\x0f\x0b" + strings.Repeat("\x20\x00\x41\x01\x6b\x41\x00\x11\x01\x00", 2)})},
		{"jump table", assemble(1, "", run(jumpTable()))},
		// loop (drop (memory.grow 1)) (br 0)
		{"grow", assemble(1, "", run("\x03\x40\x41\x01\x40\x00\x1a\x0c\x00\x0b\x00"))},
		// loop (drop (log_write info, 4 KiB)) (br 0)
		{"print", assemble(1, "", asmFunction{kind: typeLog, module: abi.Module, name: abi.LogWrite},
			run("\x03\x40\x41\x01\x41\x00\x41\x80\x20\x10\x00\x1a\x0c\x00\x0b\x00"))},
		// loop (memory.fill all 32 MiB) (br 0)
		{"bulk fill", assemble(512, "", run("\x03\x40\x41\x00\x41\x07\x41\x80\x80\x80\x10\xfc\x0b\x00\x0c\x00\x0b\x00"))},
		{"sleep", assemble(1, year, asmFunction{kind: typePoll, module: abi.WASI, name: "poll_oneoff"},
			run("\x41\x00\x41\xc0\x00\x41\x01\x41\xe0\x00\x10\x00"))},
		{"http", assemble(1, get, asmFunction{kind: typeCall, module: abi.Module, name: abi.HTTPFetch},
			run("\x41\x00\x41"+string(signed(len(get)))+"\x10\x00"))},
	}
}

// guestDeep is a guest that does nothing but call itself.
const guestDeep = "deep stack"

func deepGuest() []byte {
	return assemble(1, "", asmFunction{kind: typeRun, name: abi.ExportRun, code: "\x10\x00"})
}

// jumpTable jumps by a counter in memory to one of many labels, each of which goes round again.
func jumpTable() string {
	const labels = 200
	code := "\x03\x40" + strings.Repeat("\x02\x40", labels)                                                              // loop, blocks
	code += "\x41\x00\x41\x00\x28\x02\x00\x41\x01\x6a\x36\x02\x00" + "\x41\x00\x28\x02\x00\x0e" + string(number(labels)) // memory[0]++, br_table memory[0]
	for i := range labels + 1 {
		code += string(number(i))
	}
	for i := range labels {
		code += "\x0b\x0c" + string(number(labels-1-i)) // end, br to the loop
	}
	return code + "\x0b\x00"
}

// signed is n as the signed LEB128 of i32.const, for n in 0..8191.
func signed(n int) []byte {
	if n < 64 {
		return []byte{byte(n)}
	}
	return []byte{byte(n&0x7f) | 0x80, byte(n >> 7)}
}

// frame is fields as a request of package abi.
func frame(fields ...string) string {
	var b []byte
	for _, f := range fields {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	return string(b)
}

type runaway struct {
	name  string
	guest []byte
}
