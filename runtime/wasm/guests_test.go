package wasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// guests builds each Go guest once for all tests.
var guests = struct {
	mu    sync.Mutex
	bytes map[string][]byte
}{bytes: map[string][]byte{}}

// goGuest builds a guest of package sandbox, "reactor" or "command", with the Go toolchain; its names are kept.
func goGuest(tb testing.TB, name string) []byte {
	tb.Helper()
	guests.mu.Lock()
	defer guests.mu.Unlock()
	if b := guests.bytes[name]; b != nil {
		return b
	}
	out := filepath.Join(tb.TempDir(), name+".wasm")
	args := []string{"build", "-trimpath", "-o", out}
	if name == "reactor" {
		args = append(args, "-buildmode=c-shared")
	}
	cmd := exec.Command("go", append(args, "../sandbox/testdata/"+name)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build %s: %v\n%s", name, err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	guests.bytes[name] = b
	return b
}

// anyImport lets a module import every function.
var anyImport = Rules{Import: func(string, string, FuncType) error { return nil }}

// TestReadGoGuest: what the Go toolchain makes passes, and every instruction of it, written anew, is read as the same.
func TestReadGoGuest(t *testing.T) {
	for _, name := range []string{"reactor", "command"} {
		code := goGuest(t, name)
		m, err := Read(code, anyImport)
		if err != nil {
			t.Fatal(name, err)
		}
		if m.Functions < 1000 || m.Memory == nil || len(m.Tables) != 1 || m.DataSegments < 1000 || len(m.Imports) == 0 {
			t.Errorf("%s: %+v", name, m)
		}
		n := 0
		for i := range m.Functions {
			n += roundTrip(t, m, i)
		}
		t.Logf("%s: %d bytes, %d functions, %d bytes of instructions written anew", name, len(code), m.Functions, n)
	}
}

// roundTrip decodes a body, encodes it and decodes that.
func roundTrip(t *testing.T, m *Module, i int) (size int) {
	t.Helper()
	instrs := 0
	groups, r := m.body(i)
	for range groups {
		r.localGroup()
	}
	var out []byte
	var in instr
	d := decoder{reader: r}
	for d.left() > 0 {
		if err := d.next(&in); err != nil {
			t.Fatalf("function %d: %v", i, err)
		}
		out = appendInstr(out, &in)
		instrs++
	}
	again := decoder{reader: reader{code: out}}
	var out2 []byte
	for again.left() > 0 {
		if err := again.next(&in); err != nil {
			t.Fatalf("function %d written anew: %v", i, err)
		}
		out2 = appendInstr(out2, &in)
		instrs--
	}
	if instrs != 0 || string(out) != string(out2) {
		t.Fatalf("function %d is not the same when it is read again", i)
	}
	return len(out2)
}

func BenchmarkRead(b *testing.B) {
	code := goGuest(b, "reactor")
	b.SetBytes(int64(len(code)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(code, anyImport); err != nil {
			b.Fatal(err)
		}
	}
}
