package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// Engines of the queue's suite, by the names that rows have.
const (
	engineFloor   = "floor"
	engineCaisson = "caisson"
	engineAsynq   = "asynq"
	engineCelery  = "celery"
	engineSigned  = "celery, signed"
)

// A workerSpec says which worker serves the queue.
type workerSpec struct {
	engine      string
	guest       string        // of Caisson
	concurrency int           // tasks at a time; of the floor, consumers
	batch       int           // of the floor: entries claimed together
	lanes       int           // of Caisson: at least so many in the policy; 0 for one tenant's
	delay       time.Duration // added to each round trip to Redis
	look        time.Duration // of asynq: how often it looks for work; 0 for its default
	tell        bool          // of the floor: results are published, too
}

// A worker is one that runs, in a process of its own or several.
type worker struct {
	cmd     *exec.Cmd
	pages   string // address of Caisson's metrics, else ""
	profile string // where its processor profile goes, "" for none
}

// startWorker starts the process and does not wait until it serves: only what it does counts.
func (l *queueLab) startWorker(s workerSpec) (*worker, error) {
	addr, err := l.addr(s.delay)
	if err != nil {
		return nil, err
	}
	switch s.engine {
	case engineFloor:
		way := ""
		if s.tell {
			way = "tell"
		}
		return l.startServer(s.engine, line.Request{Op: "serve", Way: way, Workers: s.concurrency, Batch: s.batch, Addr: addr})
	case engineAsynq:
		return l.startServer(s.engine, line.Request{Op: "serve", Workers: s.concurrency, Limit: s.look, Addr: addr})
	case engineCelery, engineSigned:
		cmd := exec.Command(l.celery.python, "-m", "celery", "-A", "app", "worker", "-P", "prefork", "-c", strconv.Itoa(s.concurrency), "--loglevel", "ERROR")
		l.celery.prepare(cmd, l.deployment.setupFile(), addr, s.engine == engineSigned)
		return l.start(cmd, "celery-worker")
	}
	pages, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if addr == "" {
		addr = l.redis.Addr
	}
	path, err := l.deployment.writeWorker(s, addr, pages)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(l.deployment.binary, "worker", "--config", path)
	profile := ""
	if l.o.profile != "" {
		profile = filepath.Join(l.o.profile, fmt.Sprintf("%s-%d-%d-%s.pprof", s.guest, s.concurrency, s.lanes, s.delay))
		cmd.Env = append(os.Environ(), profileVariable+"="+profile)
	}
	w, err := l.start(cmd, "caisson-worker")
	if err != nil {
		return nil, err
	}
	w.pages, w.profile = pages, profile
	return w, nil
}

// startServer starts an engine of package line and has it serve.
func (l *queueLab) startServer(engine string, q line.Request) (*worker, error) {
	p, err := l.startEngine(engine)
	if err != nil {
		return nil, err
	}
	if _, err := p.ask(q); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return &worker{cmd: p.cmd}, nil
}

// start starts a worker that is no engine of ours. What it says goes to a file in the folder of the run.
func (l *queueLab) start(cmd *exec.Cmd, name string) (*worker, error) {
	log, err := os.Create(l.path(name + ".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &worker{cmd: cmd}, nil
}

// kill ends the worker at once: what it did is settled, and a drain would be measured with nothing. Children that it has see that it is gone.
func (w *worker) kill() {
	if w.profile != "" {
		w.endProfile()
	}
	_ = w.cmd.Process.Signal(syscall.SIGKILL) // an error says that it has ended already
	_ = w.cmd.Wait()
}

// endProfile has the worker write its profile, and waits for a short time until it has.
func (w *worker) endProfile() {
	_ = w.cmd.Process.Signal(syscall.SIGUSR1) // an error says that it has ended already
	for end := time.Now().Add(profileMax); time.Now().Before(end); time.Sleep(pollEvery) {
		if _, err := os.Stat(w.profile + ".part"); errors.Is(err, os.ErrNotExist) {
			return // it has the name that it was meant to have, or there never was one
		}
	}
}

// writeCommands keeps beside a worker's profile what Redis did meanwhile: calls and microseconds of each command.
func (l *queueLab) writeCommands(w *worker) error {
	if w.profile == "" {
		return nil
	}
	info, err := l.redis.admin.Info(l.ctx, "commandstats").Result()
	if err != nil {
		return err
	}
	return os.WriteFile(w.profile+".redis.txt", []byte(info), 0o600)
}

// logOf is the end of what the last worker of that name said.
func (l *queueLab) logOf(name string) string {
	data, _ := os.ReadFile(l.path(name + ".log"))
	return string(data[max(0, len(data)-tailSize):])
}

// settleSum and settleCount are in the worker's metrics. Source: docs/reference/worker.md.
var (
	settleSum   = regexp.MustCompile(`(?m)^caisson_settle_outcomes_sum (\S+)$`)
	settleCount = regexp.MustCompile(`(?m)^caisson_settle_outcomes_count (\S+)$`)
)

// batchOf is how many outcomes a worker of Caisson has settled together, on average; none where that cannot be known.
func (w *worker) batchOf(ctx context.Context) sample {
	if w.pages == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.pages+"/metrics", nil)
	if err != nil {
		return nil
	}
	answer, err := pagesClient.Do(request)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, pagesSizeMax))
	sum, count := settleSum.FindSubmatch(text), settleCount.FindSubmatch(text)
	if err != nil || sum == nil || count == nil {
		return nil
	}
	s, _ := strconv.ParseFloat(string(sum[1]), 64)
	n, _ := strconv.ParseFloat(string(count[1]), 64)
	if n == 0 {
		return nil
	}
	return sample{s / n}
}

// pagesClient asks a process on loopback, without a proxy.
var pagesClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// A drained is what one drain came to.
type drained struct {
	rate     float64       // tasks a second
	worker   time.Duration // processor time of the worker's process a task; 0 when not known
	redis    time.Duration
	outcomes sample // settled together, of Caisson
	n        int
}

// errTooShort says that all was done between two looks.
var errTooShort = errors.New("over before it could be watched")

// drain starts the worker on the full queue and watches it from the time when a part of count is done, which warms it up, until all of count is.
func (l *queueLab) drain(s workerSpec, count int) (d drained, err error) {
	done, err := l.counter(s.engine)
	if err != nil {
		return d, err
	}
	w, err := l.startWorker(s)
	if err != nil {
		return d, err
	}
	defer w.kill()
	if w.profile != "" {
		if err := l.redis.admin.ConfigResetStat(l.ctx).Err(); err != nil {
			return d, err
		}
	}
	type mark struct {
		n             int
		at            time.Time
		worker, redis time.Duration
	}
	var begun mark
	last, moved := 0, time.Now()
	for warm := count / warmPart; ; {
		n, err := done(l.ctx)
		if err != nil {
			return d, err
		}
		now := mark{n: n, at: time.Now()}
		if begun.n == 0 && n >= warm || n >= count {
			now.worker, now.redis = cpuTime(w.cmd.Process.Pid), cpuTime(l.redis.cmd.Process.Pid)
		}
		switch {
		case begun.n == 0 && n >= warm:
			begun = now
		case n >= count && n == begun.n:
			return d, errTooShort
		case n >= count:
			d.n = now.n - begun.n
			each := func(from, to time.Duration) time.Duration { return (to - from) / time.Duration(d.n) }
			d.rate = float64(d.n) / now.at.Sub(begun.at).Seconds()
			d.worker, d.redis = each(begun.worker, now.worker), each(begun.redis, now.redis)
			d.outcomes = w.batchOf(l.ctx)
			return d, l.writeCommands(w)
		}
		if n != last {
			last, moved = n, time.Now()
		}
		if time.Since(moved) > stallMax {
			return d, fmt.Errorf("stands still at %d of %d: %s%s", n, count, l.logOf("caisson-worker"), l.logOf("celery-worker"))
		}
		if !pause(l.ctx, watchEvery) {
			return d, l.ctx.Err()
		}
	}
}

// counter returns what tells how many tasks are done since now. All are cheap for Redis.
func (l *queueLab) counter(engine string) (func(context.Context) (int, error), error) {
	admin := l.redis.admin
	switch engine {
	case engineAsynq:
		return func(ctx context.Context) (int, error) {
			n, err := admin.ZCard(ctx, "asynq:{default}:completed").Result()
			return int(n), err
		}, nil
	case engineCaisson:
		lane := "cs:{" + deployQueue + "}:in:" + deployTenant + ":1" // docs/reference/redis.md; entries go when they are settled
		full, err := admin.XLen(l.ctx, lane).Result()
		return func(ctx context.Context) (int, error) {
			n, err := admin.XLen(ctx, lane).Result()
			return int(full - n), err
		}, err
	}
	// Each result is a key of its own, and nothing else adds more than a handful.
	before, err := admin.DBSize(l.ctx).Result()
	return func(ctx context.Context) (int, error) {
		n, err := admin.DBSize(ctx).Result()
		return max(0, int(n-before)), err
	}, err
}
