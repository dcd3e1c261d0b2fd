package wasm

import (
	"errors"
	"strings"
	"testing"
)

// TestHostile holds, for each rule of the gate, a module that breaks it, against what is said of it.
func TestHostile(t *testing.T) {
	for _, row := range hostile() {
		t.Run(row.name, func(t *testing.T) {
			m, err := Read(row.code, anyImport)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%x was read: %+v", row.code, m)
			}
			if got := e.Code + " " + e.Error(); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

type hostileRow struct {
	name string
	code []byte
	want string // code and text
}

func hostile() (rows []hostileRow) {
	add := func(name string, code []byte, want string) { rows = append(rows, hostileRow{name, code, want}) }
	one := func(name string, id byte, content string, want string) {
		add(name, assemble(section(id, content)), want)
	}
	op := func(name, code, want string) { add(name, withBody(noLocals, code), want) }
	hostileForm(add, one)
	hostileDeclarations(add, one)
	hostileSegments(add, one)
	hostileBodies(add)
	hostileLacks(add)
	hostileInstructions(op)
	return rows
}

type (
	addFunc func(name string, code []byte, want string)
	oneFunc func(name string, id byte, content string, want string)
	opFunc  func(name, code, want string)
)

func hostileForm(add addFunc, one oneFunc) {
	add("empty", nil, `module.invalid wasm: at 0x0: not a Wasm module (no \0asm at its start)`)
	add("short", []byte("\x00asm\x01\x00\x00"), "module.invalid wasm: at 0x7: unexpected end within the version")
	add("magic alone", []byte("\x00asm"), "module.invalid wasm: at 0x4: unexpected end within the version")
	add("magic", []byte("\x00asn\x01\x00\x00\x00"), `module.invalid wasm: at 0x0: not a Wasm module (no \0asm at its start)`)
	for name, row := range map[string][2]string{
		"text":           {"(module)", "; this looks like the text format: turn it into a module with wat2wasm"},
		"commented text": {";; a task\n(module)", "; this looks like the text format: turn it into a module with wat2wasm"},
		"gzip":           {"\x1f\x8b\x08\x00", "; it is compressed: gunzip it"},
		"zstd":           {"(\xb5\x2f\xfd\x04", ""},
		"zip":            {"PK\x03\x04\x14", "; it is an archive: unzip it"},
		"ELF":            {"\x7fELF\x02", "; it is a program for this system, not for WebAssembly: build it for WASI preview 1"},
		"ar":             {"!<arch>\n/", "; it is a library of object files: link it"},
		"half a gzip":    {"\x1f", ""},
	} {
		add(name, []byte(row[0]), `module.invalid wasm: at 0x0: not a Wasm module (no \0asm at its start)`+row[1])
	}
	add("version", []byte("\x00asm\x02\x00\x00\x00"), "module.invalid wasm: at 0x4: a version other than 1")
	add("component", []byte("\x00asm\x0d\x00\x01\x00"), "module.unsupported wasm: at 0x4: this is a component; build a core module for WASI preview 1 instead: GOOS=wasip1 in Go, target wasm32-wasip1 in Rust, --target=wasm32-wasip1 in clang, and no wasm-tools component step")
	add("too large", make([]byte, moduleSizeMax+1), "module.invalid wasm: at 0x0: more than 64 MiB")
	add("section id", assemble("\x0e\x00"), "module.invalid wasm: at 0x8: unknown section 14")
	add("tag section", assemble("\x0d\x00"), "module.unsupported wasm: at 0x8: section 13 (exceptions, a feature that is off; build with -fno-exceptions in C++, -C panic=abort in Rust)")
	add("section without size", assemble("\x01"), "module.invalid wasm: at 0x9: unexpected end")
	add("section longer than the module", assemble("\x01\x02\x00"), "module.invalid wasm: at 0x8: section 1 has 2 bytes, but 1 are left")
	add("section size of six bytes", assemble("\x01\x81\x80\x80\x80\x80\x00\x00"), "module.invalid wasm: at 0x9: a number of more than 32 bits")
	add("section size of 33 bits", assemble("\x01\x81\x80\x80\x80\x10\x00"), "module.invalid wasm: at 0x9: a number of more than 32 bits")
	add("section repeated", assemble(section(1, "\x00"), section(1, "\x00")), "module.invalid wasm: type section at 0xb: out of order or repeated")
	add("section out of order", assemble(section(3, "\x00"), section(1, "\x00")), "module.invalid wasm: type section at 0xb: out of order or repeated")
	add("data count after code", assemble(section(10, "\x00"), section(12, "\x00")), "module.invalid wasm: data count section at 0xb: out of order or repeated")
	one("section not consumed", 1, "\x00\x00", "module.invalid wasm: type section at 0xb: 1 bytes after the last entry")
	one("section empty", 1, "", "module.invalid wasm: type section at 0xa: unexpected end")
	one("custom name cut", 0, "\x05nam", "module.invalid wasm: custom section at 0xa: 5 bytes of a name, but 3 bytes are left")
	one("custom name not UTF-8", 0, "\x01\xff", "module.invalid wasm: custom section at 0xb: a name that is not UTF-8")
	one("name too long", 0, number(nameSizeMax+1)+strings.Repeat("a", nameSizeMax+1), "module.invalid wasm: custom section at 0xb: 10001 bytes of a name, at most 10000")
	add("functions without bodies", assemble(section(1, "\x01\x60\x00\x00"), section(3, "\x01\x00")), "module.invalid wasm: code section at 0x12: no bodies for the declared functions")
	add("bodies without functions", assemble(section(10, "\x01\x02\x00\x0b")), "module.invalid wasm: code section at 0xb: 1 bodies for 0 functions")
	add("data count without data", assemble(section(12, "\x01")), "module.invalid wasm: data section at 0xb: another number of segments than the data count section says")
	add("data count of another number", assemble(section(5, asmMemory), section(12, "\x02"), section(11, asmData)), "module.invalid wasm: data section at 0x16: another number of segments than the data count section says")
}

func hostileDeclarations(add addFunc, one oneFunc) {
	one("types beyond the bytes", 1, "\xff\xff\x03\x60\x00\x00", "module.invalid wasm: type section at 0xa: 65535 types, but 3 bytes are left")
	one("types beyond the bound", 1, "\xff\xff\xff\xff\x0f", "module.invalid wasm: type section at 0xa: 4294967295 types, at most 100000")
	one("type form", 1, "\x01\x61\x00\x00", "module.invalid wasm: type section at 0xb: type 0: form 0x61 is no function type")
	one("struct type", 1, "\x01\x5f\x00\x00", "module.unsupported wasm: type section at 0xb: type 0: form 0x5f (garbage collection, a feature that is off)")
	one("recursion group", 1, "\x01\x4e\x00\x00", "module.unsupported wasm: type section at 0xb: type 0: form 0x4e (garbage collection, a feature that is off)")
	one("type of a value", 1, "\x01\x60\x01\x7a\x00", "module.invalid wasm: type section at 0xd: unknown type 0x7a")
	one("anyref", 1, "\x01\x60\x01\x6e\x00", "module.unsupported wasm: type section at 0xd: type 0x6e (garbage collection, a feature that is off)")
	one("typed reference", 1, "\x01\x60\x02\x64\x00\x00", "module.unsupported wasm: type section at 0xd: type 0x64 (typed function references, a feature that is off)")
	one("exnref", 1, "\x01\x60\x01\x69\x00", "module.unsupported wasm: type section at 0xd: type 0x69 (exceptions, a feature that is off; build with -fno-exceptions in C++, -C panic=abort in Rust)")
	one("parameters beyond the bound", 1, "\x01\x60"+number(paramsMax+1)+strings.Repeat("\x7f", paramsMax+1)+"\x00", "module.invalid wasm: type section at 0xd: 1001 parameters, at most 1000")
	one("results beyond the bytes", 1, "\x01\x60\x00\x7f\x7f", "module.invalid wasm: type section at 0xd: 127 results, but 1 bytes are left")
	one("imports beyond the bound", 2, number(importsMax+1)+strings.Repeat("\x00\x00\x00\x00", importsMax+1), "module.invalid wasm: import section at 0xb: 1001 imports, at most 1000")
	one("import of a type that does not exist", 2, "\x01\x01m\x01n\x00\x00", "module.invalid wasm: import section at 0x10: type 0 does not exist (there are 0)")
	one("import of a table", 2, "\x01\x01m\x01n\x01\x70\x00\x00", `module.shape wasm: import section at 0xf: imports the table "m" "n"; a task brings its own`)
	one("import of a memory", 2, "\x01\x01m\x01n\x02\x00\x01", `module.shape wasm: import section at 0xf: imports the memory "m" "n"; a task brings its own`)
	one("import of a global", 2, "\x01\x01m\x01n\x03\x7f\x00", `module.shape wasm: import section at 0xf: imports the global "m" "n"; a task brings its own`)
	one("import of a tag", 2, "\x01\x01m\x01n\x04\x00\x00", `module.unsupported wasm: import section at 0xf: imports the tag "m" "n" (exceptions, a feature that is off; build with -fno-exceptions in C++, -C panic=abort in Rust)`)
	one("import of unknown kind", 2, "\x01\x01m\x01n\x05\x00", `module.invalid wasm: import section at 0xf: import "m" "n" is of unknown kind 0x5`)
	one("import from the instrumenter", 2, "\x01"+sized("caisson:sandbox")+sized("tick")+"\x00\x00", `module.import wasm: import section at 0xb: imports "tick" of "caisson:sandbox", a name that is reserved`)
	one("import with a name that is not UTF-8", 2, "\x01\x01m\x02n\xc0\x00\x00", "module.invalid wasm: import section at 0xe: a name that is not UTF-8")
	one("functions beyond the bound", 3, number(functionsMax+1), "module.invalid wasm: function section at 0xa: 200001 functions, at most 200000")
	one("functions beyond the bytes", 3, "\x7f\x00", "module.invalid wasm: function section at 0xa: 127 functions, but 1 bytes are left")
	one("function of a type that does not exist", 3, "\x01\x00", "module.invalid wasm: function section at 0xb: type 0 does not exist (there are 0)")
	one("tables beyond the bound", 4, number(tablesMax+1)+strings.Repeat("\x70\x00\x00", tablesMax+1), "module.invalid wasm: table section at 0xa: 9 tables, at most 8")
	one("table of numbers", 4, "\x01\x7f\x00\x00", "module.invalid wasm: table section at 0xb: i32 is not a reference type")
	one("table with an initializer", 4, "\x01\x40\x00\x70\x00\x00\xd0\x70\x0b", "module.unsupported wasm: table section at 0xb: table 0: an initializer (typed function references, a feature that is off)")
	one("table too large", 4, "\x01\x70\x00\x81\x80\x10", "module.shape wasm: table section at 0xc: table 0: 262145 elements from the start, at most 262144")
	one("table that ends before it begins", 4, "\x01\x70\x01\x02\x01", "module.invalid wasm: table section at 0xd: a table of at least 2 and at most 1 elements")
	one("64-bit table", 4, "\x01\x70\x04\x00\x00", "module.unsupported wasm: table section at 0xc: a 64-bit table (memory64, a feature that is off; build for wasm32)")
	one("memories", 5, "\x02\x00\x01\x00\x01", "module.unsupported wasm: memory section at 0xa: 2 memories (multiple memories, a feature that is off; build without -mmultimemory in clang, +multimemory in Rust)")
	one("shared memory", 5, "\x01\x03\x01\x01", "module.unsupported wasm: memory section at 0xb: a shared memory (threads, a feature that is off; build without -pthread and -matomics in clang, +atomics in Rust, --enable threads in AssemblyScript)")
	one("64-bit memory", 5, "\x01\x04\x01\x01", "module.unsupported wasm: memory section at 0xb: a 64-bit memory (memory64, a feature that is off; build for wasm32)")
	one("memory with a page size", 5, "\x01\x08\x01\x00", "module.invalid wasm: memory section at 0xb: unknown limits 0x8 of a memory")
	one("memory of 4 GiB", 5, "\x01\x00\x80\x80\x04", "module.shape wasm: memory section at 0xb: a memory of 65536 pages from the start, at most 65535")
	one("memory beyond 4 GiB", 5, "\x01\x00\x81\x80\x04", "module.invalid wasm: memory section at 0xc: a memory of more than 65536 pages")
	one("memory that may grow beyond 4 GiB", 5, "\x01\x01\x01\x81\x80\x04", "module.invalid wasm: memory section at 0xc: a memory of more than 65536 pages")
	one("memory that ends before it begins", 5, "\x01\x01\x02\x01", "module.invalid wasm: memory section at 0xc: a memory of at least 2 and at most 1 pages")
	one("globals beyond the bound", 6, number(globalsMax+1), "module.invalid wasm: global section at 0xa: 10001 globals, at most 10000")
	one("global of a mutability", 6, "\x01\x7f\x02\x41\x00\x0b", "module.invalid wasm: global section at 0xc: global 0: unknown mutability 0x2")
	one("global of another type", 6, "\x01\x7e\x00\x41\x00\x0b", "module.invalid wasm: global section at 0xd: a constant of type i32 where i64 is wanted")
	one("global without constant", 6, "\x01\x7f\x00\x0b\x00\x00", "module.invalid wasm: global section at 0xd: instruction 0xb in a constant expression")
	one("global of a global", 6, "\x01\x7f\x00\x23\x00\x0b", "module.unsupported wasm: global section at 0xd: a constant that reads global 0: only imported globals can be read here, and a task has none")
	one("global of a function that does not exist", 6, "\x01\x70\x00\xd2\x00\x0b", "module.invalid wasm: global section at 0xd: function 0 does not exist (there are 0)")
	one("global of a sum", 6, "\x01\x7f\x00\x41\x01\x41\x01\x6a\x0b", "module.unsupported wasm: global section at 0xf: a constant expression of more than one instruction (extended constant expressions, a feature that is off; build with -mno-extended-const in clang, -C target-feature=-extended-const in Rust)")
	one("global of a load", 6, "\x01\x7f\x00\x28\x00\x00\x0b", "module.invalid wasm: global section at 0xd: instruction 0x28 in a constant expression")
	one("exports beyond the bound", 7, number(exportsMax+1), "module.invalid wasm: export section at 0xa: 20001 exports, at most 20000")
	one("export of a function that does not exist", 7, "\x01\x01a\x00\x00", "module.invalid wasm: export section at 0xe: function 0 does not exist (there are 0)")
	one("export of a table that does not exist", 7, "\x01\x01a\x01\x00", "module.invalid wasm: export section at 0xe: table 0 does not exist (there are 0)")
	one("export of a memory that does not exist", 7, "\x01\x01a\x02\x00", "module.invalid wasm: export section at 0xe: memory 0 does not exist (there are 0)")
	one("export of a global that does not exist", 7, "\x01\x01a\x03\x00", "module.invalid wasm: export section at 0xe: global 0 does not exist (there are 0)")
	one("export of unknown kind", 7, "\x01\x01a\x04\x00", "module.invalid wasm: export section at 0xd: export of unknown kind 0x4")
	add("exports of one name", assemble(section(5, asmMemory), section(7, "\x03\x01a\x02\x00\x01b\x02\x00\x01a\x02\x00")), `module.invalid wasm: export section at 0x18: two exports named "a"`)
	add("export of a reserved name", assemble(section(5, asmMemory), section(7, "\x01"+sized("caisson:fuel")+"\x02\x00")), `module.shape wasm: export section at 0x10: exports "caisson:fuel", a name that is reserved`)
	one("start that does not exist", 8, "\x00", "module.invalid wasm: start section at 0xa: function 0 does not exist (there are 0)")
	add("start with a result", assemble(section(1, "\x01\x60\x00\x01\x7f"), section(3, "\x01\x00"), section(8, "\x00")), "module.invalid wasm: start section at 0x15: the start function is () -> (i32), not () -> ()")
}

func hostileSegments(add addFunc, one oneFunc) {
	table := section(4, "\x01\x70\x00\x01")
	one("element segments beyond the bound", 9, number(segmentsMax+1), "module.invalid wasm: element section at 0xa: 200001 element segments, at most 200000")
	one("element flags", 9, "\x01\x08\x00\x00", "module.invalid wasm: element section at 0xb: unknown flags 0x8 of an element segment")
	one("elements without table", 9, "\x01\x00\x41\x00\x0b\x00", "module.invalid wasm: element section at 0xc: table 0 does not exist (there are 0)")
	add("elements at a 64-bit offset", assemble(table, section(9, "\x01\x00\x42\x00\x0b\x00")), "module.invalid wasm: element section at 0x12: a constant of type i64 where i32 is wanted")
	add("elements for another type of table", assemble(table, section(9, "\x01\x06\x00\x41\x00\x0b\x6f\x00")), "module.invalid wasm: element section at 0x16: elements of type externref for a table of funcref")
	one("element kind", 9, "\x01\x01\x01\x00", "module.invalid wasm: element section at 0xc: unknown element kind 0x1")
	one("elements of numbers", 9, "\x01\x05\x7f\x00", "module.invalid wasm: element section at 0xc: i32 is not a reference type")
	one("elements beyond the bound", 9, "\x01\x01\x00"+number(segmentElementsMax+1), "module.invalid wasm: element section at 0xd: 262145 elements of a segment, at most 262144")
	one("elements beyond the bytes", 9, "\x01\x01\x00\x7f\x00", "module.invalid wasm: element section at 0xd: 127 elements of a segment, but 1 bytes are left")
	one("element that does not exist", 9, "\x01\x01\x00\x01\x00", "module.invalid wasm: element section at 0xe: function 0 does not exist (there are 0)")
	one("element expression of another type", 9, "\x01\x05\x70\x01\xd0\x6f\x0b", "module.invalid wasm: element section at 0xe: a constant of type externref where funcref is wanted")
	one("data segments beyond the bound", 11, number(segmentsMax+1), "module.invalid wasm: data section at 0xa: 200001 data segments, at most 200000")
	one("data without memory", 11, "\x01\x00\x41\x00\x0b\x00", "module.invalid wasm: data section at 0xb: data without a memory")
	one("data flags", 11, "\x01\x03\x00", "module.invalid wasm: data section at 0xb: unknown flags 0x3 of a data segment")
	add("data for a second memory", assemble(section(5, asmMemory), section(11, "\x01\x02\x01\x41\x00\x0b\x00")), "module.unsupported wasm: data section at 0x11: data for memory 1 (multiple memories, a feature that is off; build without -mmultimemory in clang, +multimemory in Rust)")
	add("data at a 64-bit offset", assemble(section(5, asmMemory), section(11, "\x01\x00\x42\x00\x0b\x00")), "module.invalid wasm: data section at 0x11: a constant of type i64 where i32 is wanted")
	one("data beyond the bytes", 11, "\x01\x01\x05abcd", "module.invalid wasm: data section at 0xc: 5 bytes of a data segment, but 4 bytes are left")
}

func hostileBodies(add addFunc) {
	const merges = "its blocks can merge more than 1500000 values: each merges all locals, its parameters and its results"
	nested := func(n int, locals int, open string) []byte {
		return withBody("\x01"+number(locals)+"\x7f", strings.Repeat(open, n)+strings.Repeat("\x0b", n)+"\x0b")
	}
	add("loops around locals", nested(55, 1000, "\x03\x40"), "module.costly wasm: code section at 0xcc: function 1: "+merges)
	add("loops with parameters", assemble(section(1, "\x02"+"\x60\x00\x00"+"\x60"+number(900)+strings.Repeat("\x7f", 900)+"\x00"), section(3, "\x01\x00"),
		section(10, vector(sized(noLocals+strings.Repeat("\x41\x00", 900)+strings.Repeat("\x03\x01", 60)+strings.Repeat("\x0b", 61))))), "module.costly wasm: code section at 0xb1c: function 0: "+merges)
	add("blocks among locals", nested(40_000, 50, "\x02\x40"), "module.costly wasm: code section at 0xe627: function 1: "+merges)
	add("no body", withCode("\x00"), "module.invalid wasm: code section at 0x59: 0 bodies for 1 functions")
	add("bodies beyond the functions", withCode("\x02\x02\x00\x0b\x02\x00\x0b"), "module.invalid wasm: code section at 0x59: 2 bodies for 1 functions")
	add("body beyond the section", withCode("\x01\x05\x00\x0b"), "module.invalid wasm: code section at 0x59: function 1: 5 bytes of a body, but 2 bytes are left")
	add("body beyond the bound", withCode("\x01"+number(bodySizeMax+1)), "module.invalid wasm: code section at 0x59: function 1: 7654322 bytes of a body, at most 7654321")
	add("body without end", withBody(noLocals, "\x20\x00"), "module.invalid wasm: code section at 0x5d: function 1: unexpected end")
	add("body with bytes after its end", withBody(noLocals, "\x20\x00\x0b\x01"), "module.invalid wasm: code section at 0x5e: function 1: 1 bytes after its end")
	add("body of nothing", withCode("\x01\x00"), "module.invalid wasm: code section at 0x58: 1 bodies, but 1 bytes are left")
	add("local groups beyond the bytes", withBody("\x7f", "\x0b"), "module.invalid wasm: code section at 0x5a: function 1: 127 groups of locals, but 1 bytes are left")
	add("local groups beyond the bound", withBody(number(localGroupsMax+1), "\x0b"), "module.invalid wasm: code section at 0x5a: function 1: 50001 groups of locals, at most 50000")
	add("locals beyond the bound", withBody("\x01"+number(localsMax)+"\x7f", "\x0b"), "module.invalid wasm: code section at 0x5a: function 1: 50001 locals, at most 50000")
	add("locals of 2^32", withBody("\x02\xff\xff\xff\xff\x0f\x7f\x01\x7f", "\x0b"), "module.invalid wasm: code section at 0x5a: function 1: 4294967296 locals, at most 50000")
	add("local of unknown type", withBody("\x01\x01\x40", "\x0b"), "module.invalid wasm: code section at 0x5c: function 1: unknown type 0x40")
	many := strings.Repeat(sized("\x01"+number(localsMax)+"\x7f\x0b"), 81)
	add("locals of all functions", assemble(section(1, "\x01\x60\x00\x00"), section(3, "\x51"+strings.Repeat("\x00", 81)), section(10, "\x51"+many)), "module.invalid wasm: code section at 0x297: function 80: more than 4000000 locals in all functions")
	add("block left open", withBody(noLocals, "\x02\x40\x0b"), "module.invalid wasm: code section at 0x5e: function 1: unexpected end")
	add("end too many", withBody(noLocals, "\x0b\x0b"), "module.invalid wasm: code section at 0x5c: function 1: 1 bytes after its end")
	add("else without if", withBody(noLocals, "\x02\x40\x05\x0b\x0b"), "module.invalid wasm: code section at 0x5d: function 1: else outside of if")
	add("else twice", withBody(noLocals, "\x41\x00\x04\x40\x05\x05\x0b\x0b"), "module.invalid wasm: code section at 0x60: function 1: else outside of if")
	add("blocks beyond the bound", withBody(noLocals, strings.Repeat("\x02\x40", blocksMax+1)), "module.invalid wasm: code section at 0x186ff: function 1: more than 50000 blocks inside each other")
}

// hostileLacks has instructions that need what their module lacks.
func hostileLacks(add addFunc) {
	lack := func(name, code, want string) {
		add(name, assemble(section(1, "\x01\x60\x00\x00"), section(3, "\x01\x00"), section(10, vector(sized(noLocals+code)))), want)
	}
	lack("load without memory", "\x41\x00\x28\x02\x00\x1a\x0b", "module.invalid wasm: code section at 0x19: function 0: instruction 0x28 without a memory")
	lack("lane load without memory", "\xfd\x54\x00\x00\x00\x0b", "module.invalid wasm: code section at 0x17: function 0: instruction 0xfd 84 without a memory")
	lack("memory.grow without memory", "\x41\x00\x40\x00\x1a\x0b", "module.invalid wasm: code section at 0x19: function 0: instruction 0x40 without a memory")
	lack("memory.copy without memory", "\xfc\x0a\x00\x00\x0b", "module.invalid wasm: code section at 0x17: function 0: instruction 0xfc 10 without a memory")
	lack("table.size without table", "\xfc\x10\x00\x0b", "module.invalid wasm: code section at 0x17: function 0: table 0 does not exist (there are 0)")
	add("memory.init without memory", assemble(section(1, "\x01\x60\x00\x00"), section(3, "\x01\x00"), section(12, "\x01"), section(10, vector(sized(noLocals+"\xfc\x08\x00\x00\x0b"))), section(11, asmData)), "module.invalid wasm: code section at 0x1a: function 0: instruction 0xfc 8 without a memory")
	lack("data.drop without data count", "\xfc\x09\x00\x0b", "module.invalid wasm: code section at 0x17: function 0: instruction 0xfc 9 without a data count section")
}

func hostileInstructions(op opFunc) {
	op("unknown", "\xff\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0xff")
	op("reserved", "\x27\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0x27")
	op("unknown conversion", "\xfc\x12\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0xfc 18")
	op("unknown conversion by a large number", "\xfc\x87\x80\x80\x80\x0f\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0xfc 4026531847")
	op("unknown vector", "\xfd\x9a\x01\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0xfd 154")
	op("unknown vector by a large number", "\xfd\x8c\x82\x04\x0b", "module.invalid wasm: code section at 0x5b: function 1: unknown instruction 0xfd 65804")
	op("relaxed vector", "\xfd\x80\x02\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0xfd 256 (relaxed SIMD, a feature that is off; build without -mrelaxed-simd in clang, +relaxed-simd in Rust, --enable relaxed-simd in AssemblyScript)")
	op("atomic", "\xfe\x10\x02\x00\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0xfe 16 (threads, a feature that is off; build without -pthread and -matomics in clang, +atomics in Rust, --enable threads in AssemblyScript)")
	op("structure", "\xfb\x00\x00\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0xfb 0 (garbage collection, a feature that is off)")
	op("throw", "\x08\x00\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0x8 (exceptions, a feature that is off; build with -fno-exceptions in C++, -C panic=abort in Rust)")
	op("tail call", "\x12\x00\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0x12 (tail calls, a feature that is off; build without -mtail-call in clang, +tail-call in Rust)")
	op("call of a reference", "\x14\x00\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0x14 (typed function references, a feature that is off)")
	op("wide arithmetic", "\xfc\x13\x0b", "module.unsupported wasm: code section at 0x5b: function 1: instruction 0xfc 19 (wide arithmetic, a feature that is off; build without -mwide-arithmetic in clang, +wide-arithmetic in Rust)")
	op("block of unknown type", "\x02\x41\x0b\x0b", "module.invalid wasm: code section at 0x5c: function 1: unknown type 0x41")
	op("block of a type that does not exist", "\x02\x03\x0b\x0b", "module.invalid wasm: code section at 0x5b: function 1: type 3 does not exist (there are 3)")
	op("block of a type spelled long", "\x02\xff\x7f\x0b\x0b", "module.invalid wasm: code section at 0x5c: function 1: unknown block type -1")
	op("label", "\x0c\x01\x0b", "module.invalid wasm: code section at 0x5b: function 1: label 1 does not exist (there are 1)")
	op("label of a br_table", "\x41\x00\x0e\x02\x00\x01\x00\x0b", "module.invalid wasm: code section at 0x5d: function 1: label 1 does not exist (there are 1)")
	op("default label of a br_table", "\x41\x00\x0e\x01\x00\x01\x0b", "module.invalid wasm: code section at 0x5d: function 1: label 1 does not exist (there are 1)")
	op("labels beyond the bytes", "\x41\x00\x0e\x7f\x00\x0b", "module.invalid wasm: code section at 0x5e: function 1: 127 labels of one br_table, but 2 bytes are left")
	op("labels beyond the bound", "\x41\x00\x0e"+number(labelsMax+1), "module.invalid wasm: code section at 0x5e: function 1: 65521 labels of one br_table, at most 65520")
	op("function", "\x10\x02\x0b", "module.invalid wasm: code section at 0x5b: function 1: function 2 does not exist (there are 2)")
	op("function at 2^32-1", "\x10\xff\xff\xff\xff\x0f\x0b", "module.invalid wasm: code section at 0x5b: function 1: function 4294967295 does not exist (there are 2)")
	op("number of 33 bits", "\x10\xff\xff\xff\xff\x1f\x0b", "module.invalid wasm: code section at 0x5c: function 1: a number of more than 32 bits")
	op("type of call_indirect", "\x41\x00\x11\x03\x00\x0b", "module.invalid wasm: code section at 0x5d: function 1: type 3 does not exist (there are 3)")
	op("table of call_indirect", "\x41\x00\x11\x00\x02\x0b", "module.invalid wasm: code section at 0x5d: function 1: table 2 does not exist (there are 2)")
	op("select of two types", "\x1c\x02\x7f\x7f\x0b", "module.invalid wasm: code section at 0x5c: function 1: select of other than one type")
	op("select of unknown type", "\x1c\x01\x40\x0b", "module.invalid wasm: code section at 0x5d: function 1: unknown type 0x40")
	op("local", "\x20\x01\x0b", "module.invalid wasm: code section at 0x5b: function 1: local 1 does not exist (there are 1)")
	op("global", "\x23\x02\x0b", "module.invalid wasm: code section at 0x5b: function 1: global 2 does not exist (there are 2)")
	op("global that is immutable", "\x41\x00\x24\x01\x0b", "module.invalid wasm: code section at 0x5d: function 1: global.set of global 1, which is immutable")
	op("table", "\x41\x00\x25\x02\x0b", "module.invalid wasm: code section at 0x5d: function 1: table 2 does not exist (there are 2)")
	op("alignment", "\x41\x00\x28\x03\x00\x0b", "module.invalid wasm: code section at 0x5e: function 1: alignment 2^3, at most the natural 2^2")
	op("alignment with a memory", "\x41\x00\x28\x42\x00\x00\x0b", "module.unsupported wasm: code section at 0x5e: function 1: a memory index (multiple memories, a feature that is off; build without -mmultimemory in clang, +multimemory in Rust)")
	op("offset of 33 bits", "\x41\x00\x28\x02\x80\x80\x80\x80\x10\x0b", "module.invalid wasm: code section at 0x5f: function 1: a number of more than 32 bits")
	op("memory.size of a memory", "\x3f\x01\x0b", "module.unsupported wasm: code section at 0x5c: function 1: a memory index other than 0 (multiple memories, a feature that is off; build without -mmultimemory in clang, +multimemory in Rust)")
	op("i32.const of 33 bits", "\x41\xff\xff\xff\xff\x0f\x0b", "module.invalid wasm: code section at 0x5c: function 1: a number of more than 32 bits")
	op("i64.const of 65 bits", "\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0b", "module.invalid wasm: code section at 0x5c: function 1: a number of more than 64 bits")
	op("f64.const cut", "\x44\x00\x00\x00", "module.invalid wasm: code section at 0x5c: function 1: 8 bytes wanted, 3 left")
	op("ref.null of a number", "\xd0\x7f\x0b", "module.invalid wasm: code section at 0x5c: function 1: i32 is not a reference type")
	op("ref.func that nothing declares", "\xd2\x00\x1a\x0b", "module.invalid wasm: code section at 0x5b: function 1: ref.func of function 0, which no element, export or global names")
	op("memory.init of a segment", "\xfc\x08\x01\x00\x0b", "module.invalid wasm: code section at 0x5b: function 1: data segment 1 does not exist (there are 1)")
	op("data.drop of a segment", "\xfc\x09\x01\x0b", "module.invalid wasm: code section at 0x5b: function 1: data segment 1 does not exist (there are 1)")
	op("table.init of a segment", "\xfc\x0c\x01\x00\x0b", "module.invalid wasm: code section at 0x5b: function 1: element segment 1 does not exist (there are 1)")
	op("table.init of a table", "\xfc\x0c\x00\x02\x0b", "module.invalid wasm: code section at 0x5b: function 1: table 2 does not exist (there are 2)")
	op("elem.drop of a segment", "\xfc\x0d\x01\x0b", "module.invalid wasm: code section at 0x5b: function 1: element segment 1 does not exist (there are 1)")
	op("table.copy from a table", "\xfc\x0e\x00\x02\x0b", "module.invalid wasm: code section at 0x5b: function 1: table 2 does not exist (there are 2)")
	op("table.copy to a table", "\xfc\x0e\x02\x00\x0b", "module.invalid wasm: code section at 0x5b: function 1: table 2 does not exist (there are 2)")
	op("table.grow of a table", "\xfc\x0f\x02\x0b", "module.invalid wasm: code section at 0x5b: function 1: table 2 does not exist (there are 2)")
	op("memory.copy to a memory", "\xfc\x0a\x01\x00\x0b", "module.unsupported wasm: code section at 0x5d: function 1: a memory index other than 0 (multiple memories, a feature that is off; build without -mmultimemory in clang, +multimemory in Rust)")
	op("shuffle", "\xfd\x0d"+strings.Repeat("\x00", 15)+"\x20\x0b", "module.invalid wasm: code section at 0x6c: function 1: lane 32 of a shuffle, which has 32")
	op("lane", "\xfd\x15\x10\x0b", "module.invalid wasm: code section at 0x5d: function 1: lane 16 of 16")
	op("lane of a load", "\xfd\x57\x03\x00\x02\x0b", "module.invalid wasm: code section at 0x5f: function 1: lane 2 of 2")
	op("cut", "\x41", "module.invalid wasm: code section at 0x5c: function 1: unexpected end")
}
