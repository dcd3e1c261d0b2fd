package sandbox_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"
)

// compileArgument makes this test program compile the modules on its stdin, each behind its length in four bytes, and answer each with a byte.
const compileArgument = "wasm-compile"

func init() { otherProcesses[compileArgument] = serveCompile }

// Bounds of the compiling child.
const (
	compileMemoryMax = 4 << 30 // bytes of address space, of which Go's runtime takes some before it begins
	compileTimeMax   = 20 * time.Second
)

// Answers of the compiling child.
const (
	compileDone    = 'd'
	compileRefused = 'r'
	compilePanic   = 'p' // wazero's, recovered: admission does the same
)

func serveCompile() error {
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: compileMemoryMax, Max: compileMemoryMax}); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for {
		var size uint32
		if err := binary.Read(in, binary.LittleEndian, &size); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		code := make([]byte, size)
		if _, err := io.ReadFull(in, code); err != nil {
			return err
		}
		if _, err := os.Stdout.Write([]byte{compileOne(code)}); err != nil {
			return err
		}
	}
}

func compileOne(code []byte) (answer byte) {
	defer func() {
		if recover() != nil {
			answer = compilePanic
		}
	}()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false))
	defer rt.Close(ctx)
	if _, err := rt.CompileModule(ctx, code); err != nil {
		return compileRefused
	}
	return compileDone
}

// A compiler is a compiling child.
type compiler struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
	errors strings.Builder
}

func startCompiler(tb testing.TB) *compiler {
	tb.Helper()
	c := &compiler{cmd: exec.Command(os.Args[0], compileArgument)}
	c.cmd.Stderr = &c.errors
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return c
}

func (c *compiler) close() {
	c.in.Close()
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// errSlow means that a module took longer than compileTimeMax: a compile bomb, which admission's deadline is for.
var errSlow = errors.New("slow")

// compile has code compiled. An error means that the child is gone.
func (c *compiler) compile(code []byte) (byte, error) {
	timer := time.AfterFunc(compileTimeMax, func() { c.cmd.Process.Kill() })
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(code)))
	_, err := c.in.Write(append(frame, code...))
	var answer [1]byte
	if err == nil {
		_, err = io.ReadFull(c.out, answer[:])
	}
	if inTime := timer.Stop(); !inTime {
		return 0, errSlow
	}
	return answer[0], err
}

// gateThenWazero is the promise: what the gate takes, and the instrumenter writes, leaves the process that compiles it alive.
func (c *compiler) gateThenWazero(tb testing.TB, code []byte) (answer byte) {
	in, err := instrument(code, rigOptions)
	if err != nil {
		return 0
	}
	answer, err = c.compile(in.Code)
	if err != nil {
		c.cmd.Wait()
		if errors.Is(err, errSlow) {
			tb.Logf("a compile bomb of %d bytes: %x", len(code), code)
		} else {
			tb.Errorf("compiling a module that the gate took ended the process: %v\n%.2000s\nmodule %x", err, c.errors.String(), code)
		}
		*c = *startCompiler(tb)
	}
	return answer
}

// gateSeeds gives modules to change: generated ones and those of the specification's tests, small ones first.
func gateSeeds(tb testing.TB) (list [][]byte) {
	for seed := range uint64(20) {
		list = append(list, generateModule(seed))
	}
	files, err := filepath.Glob(filepath.Join(specFolder(tb), "v2", "testdata", "*.0.wasm"))
	if err != nil || len(files) == 0 {
		tb.Fatal("no modules", err)
	}
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if len(code) > 20 && len(code) < 20_000 {
			list = append(list, code)
		}
	}
	return list
}

// TestWasmGateThenWazero changes a few bytes of valid modules, and has what the gate still takes compiled in a child whose memory is limited.
func TestWasmGateThenWazero(t *testing.T) {
	if unraced(t) {
		return
	}
	c := startCompiler(t)
	defer func() { c.close() }()
	r := rand.New(rand.NewPCG(3, 4))
	seeds := gateSeeds(t)
	counts := map[byte]int{}
	for range 3000 {
		code := append([]byte(nil), seeds[r.IntN(len(seeds))]...)
		for range 1 + r.IntN(3) {
			code[8+r.IntN(len(code)-8)] = []byte{byte(r.Uint32()), 0x00, 0x7f, 0x80, 0xff, 0x40, 0x0b}[r.IntN(7)]
		}
		counts[c.gateThenWazero(t, code)]++
	}
	t.Logf("of 3000 changed modules, the gate refused %d; of the others, wazero compiled %d, refused %d, panicked on %d", counts[0], counts[compileDone], counts[compileRefused], counts[compilePanic])
	if counts[compileDone] < 100 || counts[0] < 100 {
		t.Error("the changes show little")
	}
}

// FuzzGateThenWazero is the same without end.
func FuzzGateThenWazero(f *testing.F) {
	c := startCompiler(f)
	f.Cleanup(func() { c.close() })
	for _, code := range gateSeeds(f) {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) { c.gateThenWazero(t, code) })
}
