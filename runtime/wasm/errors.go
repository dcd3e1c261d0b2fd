package wasm

import (
	"fmt"
	"strings"
)

// Codes of an Error.
const (
	codeInvalid     = "module.invalid"     // not valid WebAssembly, or beyond a bound of limits.go
	codeUnsupported = "module.unsupported" // of a feature that is off here, or a component
	codeImport      = "module.import"      // imports a function that the rules refuse
	codeCostly      = "module.costly"      // valid, but made so that a compiler takes minutes or gigabytes
	codeShape       = "module.shape"       // valid, but not built as a task: imports of memories and the like, reserved names
)

// An Error says why Read refused a module. It is final for these bytes under these rules.
type Error struct {
	Section string // "type", "import", ..., "data"; "" before and between sections
	Offset  int    // in the module, of the first byte of what is wrong
	Code    string // "module.invalid", "module.unsupported", "module.import", "module.costly" or "module.shape"
	Reason  string // lower case; names of the module are escaped and cut
	cause   error  // what Rules.Import said
}

// Error gives, for example, `wasm: code section at 0x1f3a: function 12: unknown instruction 0xfe`.
func (e *Error) Error() string {
	if e.Section == "" {
		return fmt.Sprintf("wasm: at %#x: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("wasm: %s section at %#x: %s", e.Section, e.Offset, e.Reason)
}

// Unwrap gives the error of Rules.Import, where that was the reason.
func (e *Error) Unwrap() error { return e.cause }

// without says, of a feature that is off, how toolchains leave it out.
var without = map[string]string{
	"threads":                       "without -pthread and -matomics in clang, +atomics in Rust, --enable threads in AssemblyScript",
	"tail calls":                    "without -mtail-call in clang, +tail-call in Rust",
	"exceptions":                    "with -fno-exceptions in C++, -C panic=abort in Rust",
	"relaxed SIMD":                  "without -mrelaxed-simd in clang, +relaxed-simd in Rust, --enable relaxed-simd in AssemblyScript",
	"memory64":                      "for wasm32",
	"multiple memories":             "without -mmultimemory in clang, +multimemory in Rust",
	"extended constant expressions": "with -mno-extended-const in clang, -C target-feature=-extended-const in Rust",
	"wide arithmetic":               "without -mwide-arithmetic in clang, +wide-arithmetic in Rust",
}

// quote makes a name from a module fit for a message: escaped, in quotes, and cut.
func quote(name string) string {
	const shownMax = 64
	if len(name) > shownMax {
		return fmt.Sprintf("%+q...", strings.ToValidUTF8(name[:shownMax], ""))
	}
	return fmt.Sprintf("%+q", name)
}
