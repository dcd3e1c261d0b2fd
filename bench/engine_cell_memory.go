package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// The task of memory and start: the Go guest, which prints a line on the way.
const (
	goInput  = `{"A":1,"B":2}`
	goWant   = `{"Sum":3}`
	logInput = `{"A":1,"B":2,"Log":"here"}`
)

// warm makes so many cells of a guest (q.Count) and leaves them idle. The one value is what each took of this process's memory, in KiB.
// So many runs are inside at once because each waits, where it logs its line, until all have come.
func (e *cells) warm(q line.Request) (line.Answer, error) {
	p, err := e.loadFile(q.Path)
	if err != nil {
		return line.Answer{}, err
	}
	// The template, the first cell and the threads are there before, and not counted.
	if err := e.together(p, 1); err != nil {
		return line.Answer{}, err
	}
	holdThreads(q.Count)
	before, err := memoryNow()
	if err != nil {
		return line.Answer{}, err
	}
	if err := e.together(p, q.Count); err != nil {
		return line.Answer{}, err
	}
	if idle := e.sandbox.Stats().IdleCells; idle < q.Count {
		return line.Answer{}, fmt.Errorf("only %d of %d cells are idle", idle, q.Count)
	}
	after, err := memoryNow()
	return line.Answer{Values: []float64{(after - before) / float64(q.Count-1)}}, err
}

// together has n runs inside of the guest at one moment.
func (e *cells) together(p *sandbox.Program, n int) error {
	var inside, done sync.WaitGroup
	inside.Add(n)
	errs := make([]error, n)
	for i := range n {
		done.Go(func() {
			meet := sync.OnceFunc(func() { inside.Done(); inside.Wait() })
			out := p.Run(e.ctx, sandbox.Job{
				ID: "bench", Tenant: "bench", Input: []byte(logInput), Log: func(string, string) { meet() },
				Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute},
			})
			if string(out.Output) != goWant {
				errs[i] = outcomeError(out)
			}
			meet() // where the guest did not
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

// holdThreads makes the Go runtime start n threads, which it keeps.
func holdThreads(n int) {
	var inside, done sync.WaitGroup
	inside.Add(n)
	for range n {
		done.Go(func() {
			goruntime.LockOSThread()
			defer goruntime.UnlockOSThread()
			inside.Done()
			inside.Wait()
		})
	}
	done.Wait()
}

// memoryNow returns the memory of this process in KiB, pages that mappings share counted once.
// Source: proc(5), smaps_rollup, Pss.
func memoryNow() (float64, error) {
	goruntime.GC()
	debug.FreeOSMemory()
	file, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib float64
		if name, rest, _ := strings.Cut(lines.Text(), ":"); name == "Pss" {
			_, err := fmt.Sscan(rest, &kib)
			return kib, err
		}
	}
	return 0, errors.New("smaps_rollup has no line Pss")
}

// firstTask is a worker's way from nothing to its first task: it opens a sandbox on a compile cache, runs the Go guest once, and says so on
// standard output.
func firstTask(ctx context.Context, folder, path string) error {
	guest, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	h, err := host.New(host.Config{})
	if err != nil {
		return err
	}
	defer h.Close()
	s, err := openSandbox(ctx, h, folder, 0)
	if err != nil {
		return err
	}
	p, err := s.Load(ctx, sandbox.Module{Digest: sha256.Sum256(guest), Bytes: guest})
	if err != nil {
		return err
	}
	out := p.Run(ctx, sandbox.Job{ID: "bench", Tenant: "bench", Input: []byte(goInput)})
	if string(out.Output) != goWant {
		return outcomeError(out)
	}
	fmt.Println("done")
	return s.Close(context.WithoutCancel(ctx))
}
