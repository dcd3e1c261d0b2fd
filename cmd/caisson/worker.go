package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

const (
	// pagesTimeout bounds how long a client of the metrics pages may take to ask, and to take the answer.
	pagesTimeout = 10 * time.Second
	// pagesIdle is how long a connection to them is kept that asks nothing: more than a scraper's usual minute, and an end for those
	// whose other side has gone without a word.
	pagesIdle = 2 * time.Minute
	// pagesHeaderMax bounds what a client says before we answer, in bytes.
	pagesHeaderMax = 16 << 10
	// connectionsMin, connectionsEach and connectionsMax make the number of connections to Redis by that of queues.
	connectionsMin, connectionsEach, connectionsMax = 16, 8, 1024
	// gcPercent is how much a worker's heap may grow before it is collected, in parts of what is in use. What tasks use is
	// not in it: a worker's own is small (10 MiB, and up to 70 of what it remembers when it is very busy) and short-lived, and
	// at Go's own 100 a tenth or more of its processor time went into collecting. At 400 all that is remembered would
	// count five times. GOGC in the environment overrides it.
	gcPercent = 200
	// stateMode keeps the worker's state to its owner: it says which releases are trusted.
	stateMode = 0o700
)

func workerCommand() *cobra.Command {
	config := ""
	c := &cobra.Command{
		Use:   "worker",
		Short: "Run tasks from the queues that worker.toml names",
		Long: `Runs until it is told to stop. SIGTERM or an interrupt drains: nothing more is taken, what runs may finish
within the drain time, the rest goes back. A second one cuts at once.

The policy file is read again when it changes, and on SIGHUP; a faulty one is reported and the old one stays in force. Redis's password and
certificates are read again with each new connection. Whatever else worker.toml names, and the file itself, is read when the worker starts: a second
worker beside it, or a restart, takes it over.
Metrics and health are on the address of [http] in worker.toml, by default ` + httpAddressDefault + `.`,
		Example: "  caisson worker --config worker.toml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return runWorker(c.Context(), config)
		},
	}
	c.Flags().StringVarP(&config, "config", "c", "worker.toml", "the worker's configuration")
	return c
}

// runWorker opens all that the settings name, works until ctx ends, and closes it again.
func runWorker(ctx context.Context, path string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals := make(chan os.Signal, 2) // from the start, so that the first one counts also while all is opened
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	s, err := readWorkerFile(path, nil)
	if err != nil {
		return err
	}
	opened, err := s.open(ctx)
	if err != nil && ctx.Err() != nil {
		return nil // told to stop before it began: nothing had been taken, so nothing is left undone
	}
	if err != nil {
		return err
	}
	defer opened.close()
	defer opened.cutOnSecond(signals)()
	return s.run(ctx, opened)
}

// run works until ctx ends, and meanwhile watches the policy and serves the pages.
func (s *workerSettings) run(ctx context.Context, opened *openedWorker) error {
	side, stop := context.WithCancel(context.WithoutCancel(ctx))
	var sides sync.WaitGroup
	defer func() { stop(); sides.Wait() }()
	sides.Go(func() { s.watchPolicy(side, opened.worker) })
	if s.file.HTTP.Address != httpOff {
		listener, err := net.Listen("tcp", s.file.HTTP.Address)
		if err != nil {
			return &hintError{fmt.Errorf("http.address: %w", err), `another worker on this machine? Give each its own [http] address, or "off"`}
		}
		sides.Go(func() { servePages(side, listener, opened.worker.Handler(), s.logger) })
	}
	return opened.worker.Run(ctx)
}

// openedWorker is a worker and what must be closed after it.
type openedWorker struct {
	worker  *runtime.Worker
	closers []func()
}

func (o *openedWorker) close() {
	for i := len(o.closers) - 1; i >= 0; i-- {
		o.closers[i]()
	}
}

// open connects and builds the worker. What was opened before an error is closed again.
func (s *workerSettings) open(ctx context.Context) (_ *openedWorker, err error) {
	o := &openedWorker{}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	// Each queue may have a claim that blocks, two starts, two settlements, renewals, and what the maintainer asks.
	s.redis.Connections = min(max(connectionsMin, connectionsEach*len(s.file.Queues)), connectionsMax)
	client, err := redisqueue.Dial(s.redis)
	if err != nil {
		return nil, err
	}
	o.closers = append(o.closers, func() { client.Close() })

	c := s.runtimeConfig()
	c.Clock = workerClock()
	hand := s.queueConfig()
	hand.Now = c.Clock
	lanes, err := redisqueue.OpenQueue(client, hand)
	if err != nil {
		return nil, misused(err)
	}
	o.closers = append(o.closers, func() { lanes.Close() })
	c.Listener, c.Admin, c.Progress = client, client, client
	if s.file.Events.Enabled {
		c.Events = client
	}
	c.Broker = brokerOf(lanes)
	if c.Modules = s.store; s.file.Store.Redis {
		c.Modules = modstore.Over(redisqueue.OpenBlobs(client))
	}
	state := s.base.path(s.file.State)
	if err := os.MkdirAll(state, stateMode); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if c.Floor, err = runtime.OpenFloor(folder(state).path("releases.json")); err != nil {
		return nil, err
	}
	if c.Modes, err = runtime.OpenModes(folder(state).path("modes.json")); err != nil {
		return nil, err
	}
	valuesClient := client
	if s.file.KV != nil {
		if valuesClient, err = redisqueue.Dial(s.kv); err != nil {
			return nil, err
		}
		o.closers = append(o.closers, func() { valuesClient.Close() })
	}
	store, err := openValues(valuesClient, &s.rules)
	if err != nil {
		return nil, err
	}
	rights, err := host.New(host.Config{HTTP: host.HTTPConfig{AllowAddr: s.outbound}, KV: store, Logger: s.logger})
	if err != nil {
		return nil, err
	}
	o.closers = append(o.closers, rights.Close)
	box, err := openSandbox(ctx, s.sandboxConfig(rights))
	if err != nil {
		return nil, err
	}
	o.closers = append(o.closers, func() { box.Close(context.WithoutCancel(ctx)) })
	c.Sandbox = box
	if o.worker, err = runtime.Open(c); err != nil {
		return nil, misused(err)
	}
	return o, nil
}

// cutOnSecond makes the second signal cut the drain that the first one, by ending Run's context, began. The
// function returned ends the listening.
func (o *openedWorker) cutOnSecond(signals <-chan os.Signal) func() {
	done := make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		for range 2 {
			select {
			case <-signals:
			case <-done:
				return
			}
		}
		o.worker.Cut()
	})
	return func() { close(done); listening.Wait() }
}

// watchPolicy reads the policy again when its file changes, until ctx ends.
func (s *workerSettings) watchPolicy(ctx context.Context, w *runtime.Worker) {
	watchFiles(ctx, s.policySeen, func() sources {
		seen := sources{}
		seen.note(s.policyPath)
		rules, err := readPolicy(s.policyPath)
		if err == nil {
			err = w.UsePolicy(rules)
		}
		if err != nil {
			s.logger.Error("policy not replaced, the old one stays in force", "file", s.policyPath, "error", err)
			return seen
		}
		s.rules.Store(rules)
		s.logger.Info("policy replaced", "file", s.policyPath)
		return seen
	})
}

// servePages serves metrics and health until ctx ends.
func servePages(ctx context.Context, listener net.Listener, pages http.Handler, log hclog.Logger) {
	server := &http.Server{Handler: pages, ReadTimeout: pagesTimeout, WriteTimeout: pagesTimeout, IdleTimeout: pagesIdle, MaxHeaderBytes: pagesHeaderMax}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	log.Info("metrics and health", "address", listener.Addr().String())
	if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("metrics and health ended", "error", err)
	}
}
