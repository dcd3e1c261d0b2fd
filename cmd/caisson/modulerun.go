package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

const (
	// repeatMax bounds --repeat: the times of every run are kept until the end.
	repeatMax = 1_000_000
	// repeatQuiet is how long --repeat says nothing of how far it is: most are done by then.
	repeatQuiet = time.Second
	// localTenant is whose task a local run is; no policy takes part.
	localTenant = "local"
)

// runFlags are those of module run.
type runFlags struct {
	manifest string
	input    string
	file     string
	repeat   int
	json     bool
}

func moduleRunCommand() *cobra.Command {
	f := runFlags{}
	c := &cobra.Command{
		Use:   "run FILE|FOLDER",
		Short: "Run a module here, in the sandbox that workers use, and show what it took",
		Long: `FILE is a module, or a task.toml, whose module lies beside it; FOLDER holds a task.toml. A module without a manifest runs
with the default limits and without any capability. With a manifest, its limits hold and what it needs is granted: http
reaches public addresses, kv is in memory and empty at the start of each run. No broker, policy or signature takes part.

The input is given with --input, or read from --file ("-" is stdin). The result goes to stdout; the log and what the run took
(fuel, processor time, memory, pages written, host calls) to stderr, or with --json all together to stdout.

--repeat runs it so many times more, each from the same clean state, and adds percentiles of what these took; the first run is
not among them, since it also builds that state. What takes more than 2 s, as compiling a large module the first time, is said on stderr.

Exit status 0 when every run is done, 1 when one failed, 3 when a worker would not run the module.`,
		Example: "  caisson module run upper.wasm --input '\"hello\"'\n  caisson module run examples/report --file sales.csv --repeat 1000\n" +
			"  echo -n text | caisson module run tool.wasm --file - --manifest task.toml --json",
		Args: exactly("FILE|FOLDER"),
		RunE: func(c *cobra.Command, args []string) error { return runModule(c, args[0], f) },
	}
	c.Flags().StringVarP(&f.manifest, "manifest", "m", "", "the task's manifest, or its folder")
	c.Flags().StringVarP(&f.input, "input", "i", "", "the input itself")
	c.Flags().StringVarP(&f.file, "file", "f", "", "file with the input, - for stdin")
	c.Flags().IntVarP(&f.repeat, "repeat", "n", 0, "run it so many times more and show percentiles")
	c.MarkFlagsMutuallyExclusive("input", "file")
	jsonFlag(c, &f.json, shape{"", runInfo{}})
	return c
}

// check refuses flags that would quietly mean something else.
func (f runFlags) check(c *cobra.Command) error {
	for _, name := range []string{"file", "manifest"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return misuse("--%s: is empty", name)
		}
	}
	if f.repeat < 0 || f.repeat > repeatMax {
		return misuse("--repeat: %d is not from 0 to %d", f.repeat, repeatMax)
	}
	return nil
}

func runModule(c *cobra.Command, path string, f runFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	ctx := c.Context()
	t, err := openLocal(ctx, path, f.manifest, c.ErrOrStderr())
	if err != nil {
		return err
	}
	defer t.close(ctx)
	if err := t.readInput(ctx, f, c.InOrStdin()); err != nil {
		return err
	}
	info, output := t.first(ctx, c.ErrOrStderr(), f.json)
	var broke error
	if info.Outcome == outcomeDone && f.repeat > 0 {
		info.Repeat, broke = t.repeat(ctx, f.repeat, output, progressAfter(repeatQuiet, f.repeat, "caisson: runs", c.ErrOrStderr()))
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := printRun(c, info, output, f.json); err != nil {
		return err
	}
	if info.Outcome != outcomeDone {
		return &endedError{info.Code, info.Error}
	}
	return broke
}

// An endedError is how a run ended that is not done. Its text is the task's, so it says what it is: see linesOf.
type endedError struct{ code, text string }

func (e *endedError) Error() string { return e.code + ": " + e.text }

// A localTask is a module that was admitted under a manifest, and all that a run of it needs, on this machine only.
type localTask struct {
	path    string
	digest  manifest.Digest
	limits  capability.Limits
	held    capability.Held
	box     *sandbox.Sandbox
	rights  *host.Host
	values  *localValues
	program *sandbox.Program
	input   []byte
}

// openLocal reads what path names and admits it; should that take a while, w hears of it. manifestAt is "" where no manifest was named.
func openLocal(ctx context.Context, path, manifestAt string, w io.Writer) (_ *localTask, err error) {
	m, modulePath, err := localFiles(path, manifestAt)
	if err != nil {
		return nil, err
	}
	code, err := readModule(modulePath)
	if errors.Is(err, os.ErrNotExist) && modulePath != path {
		return nil, &hintError{err, "caisson module build " + shellWord(filepath.Dir(modulePath))}
	}
	if err != nil {
		return nil, err
	}
	t := &localTask{path: modulePath, digest: sha256.Sum256(code), limits: m.Limits, values: newLocalValues()}
	if t.held, err = capability.Hold(m.Needs, m.Needs, nil); err != nil {
		return nil, err
	}
	if t.rights, err = host.New(host.Config{KV: t.values}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.close(ctx)
		}
	}()
	if t.box, err = openAuthorSandbox(ctx, t.rights, w); err != nil {
		return nil, err
	}
	defer whileCompiling(w, modulePath, code)()
	t.program, err = t.box.Load(ctx, sandbox.Module{
		Digest: t.digest, Bytes: code, Needs: m.Needs, Start: string(m.Start), Args: m.Args, Env: m.Env,
	})
	return t, refusedByAdmission(modulePath, err)
}

// localFiles gives the manifest and the module's path.
func localFiles(path, manifestAt string) (manifest.Manifest, string, error) {
	named := manifestPath([]string{path})
	isManifest := named != path || strings.HasSuffix(path, ".toml")
	switch {
	case isManifest && manifestAt != "":
		return manifest.Manifest{}, "", misuse("--manifest: %s names a manifest already", path)
	case isManifest:
		m, err := readManifest(named)
		return m, filepath.Join(filepath.Dir(named), m.Module), err
	case manifestAt != "":
		m, err := readManifest(manifestPath([]string{manifestAt}))
		return m, path, err
	}
	m, err := manifest.Parse(manifestName, []byte("task = \"local\"\nmodule = \"local.wasm\"\n"))
	return m, path, err // all defaults
}

func (t *localTask) close(ctx context.Context) {
	if t.box != nil {
		t.box.Close(context.WithoutCancel(ctx))
	}
	t.rights.Close()
}

// readInput reads what the flags name. What comes from stdin is read last, so that no fault waits for it.
func (t *localTask) readInput(ctx context.Context, f runFlags, stdin io.Reader) (err error) {
	switch f.file {
	case "":
		t.input = []byte(f.input)
	case "-":
		t.input, err = readStdin(ctx, stdin, inputFileMax)
	default:
		t.input, err = readFile(f.file, inputFileMax)
	}
	if most := t.limits.Payload; err == nil && int64(len(t.input)) > most {
		err = refused(fmt.Errorf("%s: the input has %d bytes, more than limits.payload, %d", runtime.CodePayload, len(t.input), most))
	}
	return err
}

// run runs the task once, from an empty store.
func (t *localTask) run(ctx context.Context, log func(level, line string)) sandbox.Outcome {
	t.values.clear()
	return t.program.Run(ctx, sandbox.Job{ID: "local", Tenant: localTenant, Held: t.held, Limits: t.limits, Input: t.input, Log: log})
}

// first runs it and tells what came. The log goes to w as it comes, or into what is told.
func (t *localTask) first(ctx context.Context, w io.Writer, keepLog bool) (runInfo, []byte) {
	var lines []string
	defer whileWaiting(waitQuiet, waitEvery, w, fmt.Sprintf("running %s, for %v at most", t.path, t.limits.Wall))()
	o := t.run(ctx, func(level, line string) {
		if keepLog {
			lines = append(lines, level+": "+line)
			return
		}
		fmt.Fprintf(w, "caisson: log: %s: %s\n", level, oneLine(line))
	})
	info := runInfo{File: t.path, Digest: t.digest.String(), Outcome: outcomeWord(o.Verdict), Code: o.Code, Error: o.Error, Log: lines, Usage: describeUsage(o.Usage)}
	if o.RetryAfter > 0 {
		info.RetryAfter = o.RetryAfter.String()
	}
	return info, o.Output
}

// repeat runs it n times more and gathers what that took. It stops at the first run that is not done, which is its error.
func (t *localTask) repeat(ctx context.Context, n int, want []byte, step func()) (*repeatInfo, error) {
	samples := runSamples{}
	for i := range n {
		o := t.run(ctx, nil)
		if o.Verdict != sandbox.Done {
			return samples.describe(), fmt.Errorf("run %d of %d: %w", i+1, n, &endedError{o.Code, o.Error})
		}
		samples.add(o.Usage, bytes.Equal(o.Output, want))
		step()
	}
	return samples.describe(), nil
}
