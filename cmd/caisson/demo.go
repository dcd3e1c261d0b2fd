package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// demoTimeout bounds the demo without --keep. A cold build of the examples on two cores takes most of it.
const demoTimeout = 5 * time.Minute

// demoFaultsMax bounds how many faulty results are told of; the first ones say what is wrong.
const demoFaultsMax = 5

func demoCommand() *cobra.Command {
	keep, asJSON, source := false, false, ""
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way on this machine: 500 tasks, and 12 things that must not run",
		Long: `Starts an embedded Redis with TLS on loopback, makes keys, builds the example tasks with the Go toolchain, signs and
stores their releases, starts a worker, sends 500 signed tasks of real work and checks every result. Then it sends what
must not run and shows what happens to each. Needs the checkout of Caisson's sources and the go command, nothing else.

Exit status 0 only if all of it went as it should.`,
		Example: "  caisson demo\n  caisson demo --keep",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return runDemo(c.Context(), demoOptions{
				keep: keep, json: asJSON, source: source, out: c.OutOrStdout(), progress: c.ErrOrStderr(),
			})
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave it running afterwards and print how to use it from a second terminal")
	c.Flags().StringVar(&source, "source", "", "the checkout of Caisson (default: found from the current folder upwards)")
	jsonFlag(c, &asJSON, shape{"", demoSummary{}})
	return c
}

type demoOptions struct {
	keep     bool
	json     bool
	source   string
	out      io.Writer // what was asked for
	progress io.Writer // all else
}

// demoSummary is the result of the demo.
type demoSummary struct {
	Done      int        `json:"done"`
	Lost      int        `json:"lost"`
	PerSecond float64    `json:"tasks_per_second"`
	Trials    []trialRow `json:"trials"`
	AsTheySay int        `json:"trials_as_expected"`
}

// err returns what did not go as expected, nil when everything did.
func (s demoSummary) err() error {
	if other := len(s.Trials) - s.AsTheySay; s.Lost > 0 || other > 0 {
		return fmt.Errorf("the demo did not go as it should: %d of the tasks lost, %d of the trials not as expected", s.Lost, other)
	}
	return nil
}

func runDemo(ctx context.Context, o demoOptions) error {
	source, err := findCheckout(o.source)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "caisson-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	limited, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	say := func(format string, args ...any) { fmt.Fprintf(o.progress, format+"\n", args...) }
	d, err := deploy(limited, dir, source, say)
	if err != nil {
		return err
	}
	defer d.close()
	stopWorker, err := d.startWorker(ctx)
	if err != nil {
		return err
	}
	defer stopWorker()

	summary, err := d.perform(limited, o, say)
	if err != nil {
		return err
	}
	if err := printDemo(o, summary); err != nil {
		return err
	}
	if err := summary.err(); err != nil {
		return err
	}
	if o.keep {
		d.keepOpen(ctx, say)
	}
	return nil
}

// perform sends the work and then the trials.
func (d *deployment) perform(ctx context.Context, o demoOptions, say func(string, ...any)) (demoSummary, error) {
	conn, err := connect(d.path("client.toml"), "")
	if err != nil {
		return demoSummary{}, err
	}
	defer conn.close()
	all, err := demoWork()
	if err != nil {
		return demoSummary{}, err
	}
	say("worker    started, sending %d signed tasks", len(all))
	summary, first, err := d.work(ctx, conn.client, all, o.progress)
	if err != nil {
		return summary, err
	}
	say("results   %d verified and checked, now what must not run", summary.Done)
	rows, err := (&trials{deployment: d, conn: conn, finished: first}).run(ctx)
	if err != nil {
		return summary, err
	}
	summary.Trials = rows
	for _, r := range rows {
		if r.Expected {
			summary.AsTheySay++
		}
	}
	return summary, nil
}

// work sends all, waits for all results and checks each. It returns one receipt, for the replay.
func (d *deployment) work(ctx context.Context, c *client.Client, all []work, progress io.Writer) (demoSummary, client.Receipt, error) {
	tasks := make([]client.Task, len(all))
	for i, w := range all {
		tasks[i] = w.task
	}
	began := time.Now()
	receipts, err := c.SendMany(ctx, tasks)
	if err != nil {
		return demoSummary{}, client.Receipt{}, err
	}
	checks := make(map[envelope.MessageID]func([]byte) error, len(all))
	for i, r := range receipts {
		checks[r.ID] = all[i].check
	}
	step := progressOf(len(all), "tasks", progress)
	done := 0
	var faults []error
	err = c.WaitAll(ctx, receipts, func(_ client.Receipt, result envelope.Result, err error) {
		if err == nil {
			err = checks[result.ID](result.Output)
		}
		if err == nil {
			done++
		} else if len(faults) < demoFaultsMax {
			faults = append(faults, fmt.Errorf("task %s: %w", result.ID, err))
		}
		step()
	})
	took := time.Since(began)
	summary := demoSummary{Done: done, Lost: len(all) - done, PerSecond: float64(done) / took.Seconds()}
	return summary, receipts[0], errors.Join(err, errors.Join(faults...))
}

// startWorker runs a worker of the deployment until the function returned is called.
func (d *deployment) startWorker(ctx context.Context) (func(), error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "caisson", Level: hclog.Error, Output: os.Stderr})
	s, err := readWorkerFile(d.path("worker.toml"), logger)
	if err != nil {
		return nil, err
	}
	opened, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = s.run(working, opened) })
	return func() { stop(); opened.worker.Cut(); running.Wait(); opened.close() }, nil
}

// keepOpen leaves everything running until ctx ends.
func (d *deployment) keepOpen(ctx context.Context, say func(string, ...any)) {
	say("\nkept open until you interrupt it. In a second terminal:\n")
	say("  export DEMO=%s", d.dir)
	say("  caisson task send page.render --config $DEMO/client.toml --input '{\"title\":\"hello\",\"markdown\":\"# Hello\"}' --wait\n")
	say("  caisson queue pause default --config $DEMO/operator.toml    # nothing begins any more")
	say("  caisson task send page.render --config $DEMO/client.toml --input '{\"title\":\"held\",\"markdown\":\"x\"}'    # prints its ID")
	say("  caisson task cancel ID --config $DEMO/operator.toml --timeout 0s")
	say("  caisson queue resume default --config $DEMO/operator.toml   # it is refused, task.cancelled")
	say("  caisson dead list --config $DEMO/operator.toml\n")
	say("  broker   %s   with $DEMO/ca.pem, worker.crt, worker.pem, worker.pass", d.url())
	for name := range d.keys {
		say("  key      %s", d.path(name+".key"))
	}
	// The embedded Redis expires nothing by itself.
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			d.redis.FastForward(time.Second)
		}
	}
}

// findCheckout returns the folder that holds examples/, from the flag or from here upwards.
func findCheckout(given string) (string, error) {
	if given != "" {
		return given, checkCheckout(given)
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if checkCheckout(dir) == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", &hintError{errors.New("the demo builds the example tasks and does not find their sources here"),
				"run it inside a checkout of Caisson, or name one with --source"}
		}
	}
}

func checkCheckout(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "examples", demoExamples[0], manifestName)); err != nil {
		return misuse("%s is no checkout of Caisson: %v", dir, err)
	}
	return nil
}
