package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	goruntime "runtime"
	"runtime/debug"
	"syscall"

	"github.com/caisson-run/caisson/host"
)

// ServeAdmission is the other side of Config.Admit: it reads one module from in, admits it, and writes what became of it to out. It bounds the whole
// process that it is called in, for good, and ends that process when in ends before its work is done: the worker is gone then. So
// call it in a process of its own that does nothing else.
// Errors are those of in, out and the system, for stderr and exit status 1; a refusal of the module is none.
func ServeAdmission(ctx context.Context, in io.Reader, out io.Writer) error {
	debug.SetTraceback("none")                                   // the reason of a fatal error is for the worker's log; the stacks are not
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // a service manager tells every process; the worker decides
	goruntime.GOMAXPROCS(min(compileWorkers, goruntime.NumCPU()))
	r, err := readRequest(in, func(l admitLimits) error {
		debug.SetMemoryLimit(int64(l.memory / 4 * 3)) // near the bound, collect more
		if err := limitProcess(l); err != nil {
			return err
		}
		_, err := io.WriteString(out, admitHello)
		return err
	})
	if err != nil {
		return fmt.Errorf("admit: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the process
		io.Copy(io.Discard, in)
		select {
		case <-done:
		default:
			os.Exit(exitOrphan)
		}
	}()
	answer, err := admitAnswer(ctx, r)
	var refusal *AdmissionError
	switch {
	case errors.As(err, &refusal):
		return writeAnswer(out, answerRefusal, encodeRefusal(refusal))
	case err != nil:
		return fmt.Errorf("admit: %w", err)
	}
	return writeAnswer(out, answerArtifact, answer)
}

const (
	exitError  = 1 // what a program ends with on an error of ServeAdmission
	exitCPU    = 4 // of a child that has spent its CPU time
	exitOrphan = 3 // of a child whose worker is gone; nobody reads it
)

// admitAnswer admits a module against all that host knows, whatever the worker offers of it.
func admitAnswer(ctx context.Context, r *admitRequest) ([]byte, error) {
	h, err := host.New(host.Config{})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	art, err := admitModule(h, sha256.Sum256(r.code), r.code)
	if err != nil {
		return nil, err
	}
	if art.engine, err = engineIdentity(ctx, h, r.dir); err != nil {
		return nil, err
	}
	if err := compileApart(ctx, r.dir, art); err != nil {
		return nil, err
	}
	if err := hollowOut(ctx, r.dir, art); err != nil {
		return nil, err
	}
	return art.encode(), nil
}
