package sandbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/wasm"
	"github.com/tetratelabs/wazero/api"
)

// An AdmissionError says why a module cannot be a task. It is final for these bytes under this manifest.
type AdmissionError struct {
	Text    string
	code    string
	passing bool // it is about the machine as it was, and may not be so next time
}

func (e *AdmissionError) Error() string { return "sandbox: " + e.Text }

// Code is one of
//   - "module.invalid": these bytes are not a valid module, or beyond a bound on modules
//   - "module.unsupported": valid, but of a kind that is not run here: a component, threads, exceptions
//   - "module.import": it imports a function that does not exist, or with another signature
//   - "module.capability": it imports a function whose kind of capability the manifest does not need, or that this worker does not offer
//   - "module.shape": it is not built as a task: imports other than functions, exports missing or of another signature, or too much memory from the start
//   - "module.costly": compiling it takes more time or memory than a worker gives, or would: the gate has a bound, too
func (e *AdmissionError) Code() string { return e.code }

func admission(code, format string, args ...any) error {
	return &AdmissionError{code: code, Text: fmt.Sprintf(format, args...)}
}

// A form is how a task is entered.
type form int

const (
	command form = 1 + iota // _start, once
	reactor                 // _initialize when there is one, then caisson_run
)

// checkForm finds the form and checks the signatures of what it calls.
func checkForm(m *wasm.Module) (form, error) {
	none := wasm.FuncType{}
	status := wasm.FuncType{Results: []wasm.ValueType{wasm.I32}}
	run, isReactor := m.ExportedFunc(abi.ExportRun)
	start, isCommand := m.ExportedFunc(abi.ExportStart)
	initialize, hasInitialize := m.ExportedFunc(abi.ExportInitialize)
	resume, hasResume := m.ExportedFunc(abi.ExportResume)
	switch {
	case isReactor && isCommand:
		return 0, admission("module.shape", "exports both %s and %s; a task has one entry: build a reactor with -buildmode=c-shared in Go, -mexec-model=reactor in clang, --exportStart _initialize in AssemblyScript, -fno-entry in Zig", abi.ExportStart, abi.ExportRun)
	case isCommand && hasInitialize:
		return 0, admission("module.shape", "exports both %s and %s; the one belongs to a command, the other to a reactor", abi.ExportStart, abi.ExportInitialize)
	case isCommand && !sameType(start, none):
		return 0, admission("module.shape", "%s must be () -> ()", abi.ExportStart)
	case isCommand:
		return command, nil
	case !isReactor:
		return 0, admission("module.shape", "exports neither %s nor %s; a Go task is built with -buildmode=c-shared", abi.ExportRun, abi.ExportStart)
	case !sameType(run, status):
		return 0, admission("module.shape", "%s must be () -> i32", abi.ExportRun)
	case hasInitialize && !sameType(initialize, none):
		return 0, admission("module.shape", "%s must be () -> ()", abi.ExportInitialize)
	case hasResume && !sameType(resume, none):
		return 0, admission("module.shape", "%s must be () -> ()", abi.ExportResume)
	}
	return reactor, nil
}

func sameType(a, b wasm.FuncType) bool {
	return slices.Equal(a.Params, b.Params) && slices.Equal(a.Results, b.Results)
}

// checkImport holds an import against what h knows: name and signature.
func checkImport(h *host.Host, module, name string, t wasm.FuncType) error {
	full := quote(module + "." + name)
	f, known := h.Function(module, name)
	if !known {
		return admission("module.import", "imports %s, which does not exist%s", full, importHint(module, name))
	}
	if is := (wasm.FuncType{Params: valueTypes(f.Params), Results: valueTypes(f.Results)}); !sameType(t, is) {
		return admission("module.import", "imports %s as %s, but it is %s", full, t, is)
	}
	return nil
}

func valueTypes(list []api.ValueType) []wasm.ValueType {
	types := make([]wasm.ValueType, len(list))
	for i, t := range list {
		types[i] = wasm.ValueType(t)
	}
	return types
}

// checkNeeds holds the imports that passed checkImport against the manifest: a module cannot even name a power that it did not declare.
func checkNeeds(h *host.Host, imports []wasm.Import, needs capability.Set) error {
	kinds := needs.Kinds()
	for _, im := range imports {
		f, _ := h.Function(im.Module, im.Name)
		switch {
		case f.Kind != "" && !kinds[f.Kind]:
			return admission("module.capability", "imports %s.%s, but its manifest needs no capability of kind %s", im.Module, im.Name, f.Kind)
		case !f.Offered:
			return admission("module.capability", "imports %s.%s, which this worker does not offer", im.Module, im.Name)
		}
	}
	return nil
}

// importHint says what to do about imports that toolchains add by themselves.
func importHint(module, name string) string {
	switch {
	case module == "env" && (name == "abort" || name == "seed" || name == "trace"):
		return "; build AssemblyScript with @assemblyscript/wasi-shim"
	case module == "wasi_unstable":
		return "; this is WASI preview 0, build for preview 1"
	case strings.HasPrefix(module, "wasi:"):
		return "; this is WASI preview 2, build for preview 1"
	case module == "gojs" || module == "go":
		return "; build Go with GOOS=wasip1"
	case strings.HasPrefix(module, "__wbindgen"):
		return "; build Rust for wasm32-wasip1, without wasm-bindgen"
	}
	return ""
}

// quote makes a name from a module fit for a message.
func quote(name string) string { return host.Escape([]byte(name[:min(len(name), 200)])) }
