package sandbox

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
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
//   - "module.costly": compiling it takes more time or memory than a worker gives
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
func checkForm(l *layout) (form, error) {
	none := signature{}
	status := signature{results: []byte{api.ValueTypeI32}}
	run, isReactor := l.function(abi.ExportRun)
	start, isCommand := l.function(abi.ExportStart)
	initialize, hasInitialize := l.function(abi.ExportInitialize)
	switch {
	case isReactor && isCommand:
		return 0, admission("module.shape", "exports both %s and %s; a task has one entry", abi.ExportStart, abi.ExportRun)
	case isCommand && hasInitialize:
		return 0, admission("module.shape", "exports both %s and %s; the one belongs to a command, the other to a reactor", abi.ExportStart, abi.ExportInitialize)
	case isCommand && !start.equal(none):
		return 0, admission("module.shape", "%s must be () -> ()", abi.ExportStart)
	case isCommand:
		return command, nil
	case !isReactor:
		return 0, admission("module.shape", "exports neither %s nor %s; a Go task is built with -buildmode=c-shared", abi.ExportRun, abi.ExportStart)
	case !run.equal(status):
		return 0, admission("module.shape", "%s must be () -> i32", abi.ExportRun)
	case hasInitialize && !initialize.equal(none):
		return 0, admission("module.shape", "%s must be () -> ()", abi.ExportInitialize)
	}
	return reactor, nil
}

// checkImports holds every import against what h knows: name and signature.
func checkImports(h *host.Host, imports []importedFunction) error {
	for _, im := range imports {
		name := im.module + "." + im.name
		f, known := h.Function(im.module, im.name)
		if !known {
			return admission("module.import", "imports %s, which does not exist%s", quote(name), importHint(im))
		}
		if !bytes.Equal(f.Params, im.signature.params) || !bytes.Equal(f.Results, im.signature.results) {
			return admission("module.import", "imports %s as %s, but it is %s", name, describe(im.signature), describe(signature{f.Params, f.Results}))
		}
	}
	return nil
}

// checkNeeds holds the imports that passed checkImports against the manifest: a module cannot even name a power that it did not declare.
func checkNeeds(h *host.Host, imports []importedFunction, needs capability.Set) error {
	kinds := needs.Kinds()
	for _, im := range imports {
		f, _ := h.Function(im.module, im.name)
		switch {
		case f.Kind != "" && !kinds[f.Kind]:
			return admission("module.capability", "imports %s.%s, but its manifest needs no capability of kind %s", im.module, im.name, f.Kind)
		case !f.Offered:
			return admission("module.capability", "imports %s.%s, which this worker does not offer", im.module, im.name)
		}
	}
	return nil
}

// importHint says what to do about imports that toolchains add by themselves.
func importHint(im importedFunction) string {
	switch {
	case im.module == "env" && (im.name == "abort" || im.name == "seed" || im.name == "trace"):
		return "; build AssemblyScript with @assemblyscript/wasi-shim"
	case im.module == "wasi_unstable":
		return "; this is WASI preview 0, build for preview 1"
	case strings.HasPrefix(im.module, "wasi:"):
		return "; this is WASI preview 2, build for preview 1"
	case im.module == "gojs" || im.module == "go":
		return "; build Go with GOOS=wasip1"
	case strings.HasPrefix(im.module, "__wbindgen"):
		return "; build Rust for wasm32-wasip1, without wasm-bindgen"
	}
	return ""
}

func describe(s signature) string { return "(" + types(s.params) + ") -> (" + types(s.results) + ")" }

func types(list []byte) string {
	names := make([]string, 0, len(list))
	for i, t := range list {
		if i == 16 {
			names = append(names, "...")
			break
		}
		names = append(names, api.ValueTypeName(t))
	}
	return strings.Join(names, ", ")
}

// quote makes a name from a module fit for a message.
func quote(name string) string { return host.Escape([]byte(name[:min(len(name), 200)])) }
