package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/caisson-run/caisson/host"
)

// admitInChild has a process of its own admit the module, and waits until that process is gone.
// Errors: *AdmissionError, with "module.costly" when the process ended at a bound; ctx's; that there is no such process.
func (a *admissions) admitInChild(ctx context.Context, digest [32]byte, code []byte) (*artifact, error) {
	dir, err := a.tempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c := &admitChild{limits: a.limits(len(code))}
	payload, err := c.run(ctx, a.child, (&admitRequest{limits: c.limits, dir: dir, code: code}).encode())
	if c.stderr.Len() > 0 {
		said, _, _ := bytes.Cut(c.stderr.Bytes(), []byte("\n")) // what follows a fatal error are stacks
		a.log.Warn("admission process said", "module", hexOf(digest), "text", host.Escape(said))
	}
	if err != nil {
		var refusal *AdmissionError
		if errors.As(err, &refusal) && refusal.code == "module.costly" {
			a.costly.Add(1)
		}
		return nil, err
	}
	art, err := a.decode(payload, digest)
	if err != nil {
		return nil, fmt.Errorf("sandbox: admission process: %w", err)
	}
	return art, nil
}

// An admitChild is one process that admits one module.
type admitChild struct {
	limits admitLimits
	stderr limitedBuffer
}

// run gives the request to a process of the command line and returns its answer.
func (c *admitChild) run(ctx context.Context, command []string, request []byte) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, c.limits.wall)
	defer cancel()
	cmd := exec.CommandContext(bounded, command[0], command[1:]...) // killed when bounded ends
	cmd.Env = []string{}                                            // it needs nothing of ours, and a secret may be there
	cmd.Stderr = &c.stderr
	cmd.SysProcAttr = childAttributes()
	cmd.WaitDelay = childWaitDelay
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sandbox: admission process: %w", err)
	}
	defer context.AfterFunc(bounded, func() { stdout.Close() })() // or a process that the child began could keep us reading
	written := make(chan struct{})
	go func() { // ends when the child has read everything, or is gone
		defer close(written)
		stdin.Write(request) // a fault shows in the answer
	}()
	payload, err := readAnswer(stdout)
	answered := err == nil || errors.As(err, new(*AdmissionError))
	expired := bounded.Err()
	if !answered {
		killGroup(cmd.Process) // what it began, too; how a dying child ends is not changed by it
	}
	stdin.Close()
	waited := cmd.Wait()
	<-written
	if answered {
		return payload, err
	}
	return nil, c.why(ctx, expired, err, waited, cmd.ProcessState)
}

// why says why a child gave no answer.
func (c *admitChild) why(ctx context.Context, expired, answer, waited error, state *os.ProcessState) error {
	text := c.stderr.String()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(answer, errNoHello):
		return fmt.Errorf("sandbox: admission process: %w: %v", answer, waited)
	case errors.Is(expired, context.DeadlineExceeded):
		return costly(true, "compiling takes more than %v on this machine", c.limits.wall.Round(limitShown))
	case state.ExitCode() == exitCPU, killed(state) && state.UserTime()+state.SystemTime() > c.limits.cpu*9/10: // the kernel counts otherwise than it reports
		return costly(false, "compiling takes more than %v of CPU time", c.limits.cpu.Round(limitShown))
	case slices.ContainsFunc(noMemory, func(s string) bool { return strings.Contains(text, s) }):
		return costly(false, "compiling takes more than %d MiB of memory", c.limits.memory>>20)
	case state.ExitCode() == exitError: // it could not do its work, and said why
		return fmt.Errorf("sandbox: admission process: %w", waited)
	}
	return costly(killed(state), "the compiler's process ended: %s", state) // a fatal error of the compiler's, or somebody's signal
}

// limitShown is how exactly a bound is told.
const limitShown = 100 * time.Millisecond

// noMemory is what Go's runtime says before it ends for want of memory, be it for the heap or for a thread's stack; what the system says to us; and what the race detector says.
var noMemory = []string{"out of memory", "cannot allocate memory", "cannot map pages", "failed to create new OS thread", "pthread_create failed", "failed to allocate"}

// killed: by a signal, of which the bound of CPU time is one.
func killed(state *os.ProcessState) bool { return state.ExitCode() < 0 }

// costly is a refusal with module.costly. A passing one is about the machine as it was, and is not remembered.
func costly(passing bool, format string, args ...any) error {
	return &AdmissionError{code: "module.costly", Text: fmt.Sprintf(format, args...), passing: passing}
}

// A limitedBuffer keeps the first stderrMax bytes that are written to it.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer. It takes everything, so that the writer is never held up.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), stderrMax-b.Len())])
	return len(p), nil
}
