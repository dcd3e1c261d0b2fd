package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/host"
)

// TestHollowIsNotRun: machine code that wazero does not find where it was placed is noticed. It would compile the hollow module instead, and every task would trap.
func TestHollowIsNotRun(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := Open(context.Background(), Config{Host: h, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	code := []byte(probeModule)
	art, err := admitModule(h, [32]byte{1}, code)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(compileApart(t.Context(), dir, art), hollowOut(t.Context(), dir, art)); err != nil {
		t.Fatal(err)
	}
	if len(art.machine) == 0 {
		t.Log("no machine code on this system")
		return
	}
	good, machine, hollow := art.machineName, art.machine, art.code
	other := good[:len(good)-1] + string('0'+(good[len(good)-1]+1)%10)
	for name, want := range map[string]error{other: errNotPlaced, good: nil} {
		art.machineName, art.machine, art.code = name, machine, hollow
		m, err := s.admissions.compile(art)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if m != nil {
			m.Close(context.Background())
		}
		if files, err := filepath.Glob(filepath.Join(s.admissions.dir, "*", "*")); err != nil || len(files) > 0 {
			t.Errorf("left: %v %v", files, err)
		}
	}
	art.machine, art.code = []byte(strings.Repeat("x", len(machine))), hollow
	if _, err := s.admissions.compile(art); err == nil {
		t.Error("bytes that are no machine code were taken")
	}
	if _, err := os.Stat(s.admissions.dir); err != nil {
		t.Error(err)
	}
}
