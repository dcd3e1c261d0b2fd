package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A queueLab has one Redis, a deployment of Caisson, and each engine's sender.
type queueLab struct {
	ctx        context.Context
	o          options
	folder     string // of this run, removed by close
	work       string // kept from run to run
	redis      *redisServer
	deployment *deployment
	guests     map[string]string   // path by name
	senders    map[string]*process // by engine; one that cannot be had is missing
	paths      map[string]string   // programs of peers
	celery     *celery             // nil when it cannot be had
	delays     map[time.Duration]*delayProxy
}

// Everything that the suite has.
var (
	queueEngines = []string{engineFloor, engineCaisson, engineAsynq, engineCelery, engineSigned}
	queueGuests  = []string{"tiny", "go"}
)

// openQueueLab builds and starts everything but workers; what is built stays in the folder work. What cannot be had here is told and left out.
func openQueueLab(ctx context.Context, o options, work string, engines, guests []string) (*queueLab, error) {
	folder, err := os.MkdirTemp("", "caisson-bench-queue-")
	if err != nil {
		return nil, err
	}
	l := &queueLab{ctx: ctx, o: o, folder: folder, work: work, guests: map[string]string{}, senders: map[string]*process{}, paths: map[string]string{},
		delays: map[time.Duration]*delayProxy{}}
	if err := l.open(engines, guests); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *queueLab) open(engines, guests []string) (err error) {
	if l.redis, err = startRedis(l.ctx, l.folder); err != nil {
		return err
	}
	l.buildGuests(guests)
	if l.deployment, err = deploy(l.ctx, l.folder, l.work, l.redis.login, l.guests, l.o.profile != ""); err != nil {
		return err
	}
	if slices.Contains(engines, engineAsynq) {
		if l.paths[engineAsynq], err = buildPeer(l.ctx, l.work, engineAsynq); err != nil {
			l.o.logf("%s: left out: %v", engineAsynq, err)
		}
	}
	if slices.Contains(engines, engineCelery) {
		if l.celery, err = findCelery(l.ctx, l.o, l.work, l.folder); err != nil {
			l.o.logf("celery: not installed, left out: %v", err)
		}
	}
	for _, name := range engines {
		p, err := l.startEngine(name)
		if err != nil {
			l.o.logf("%s: left out: %v", name, err)
			continue
		}
		l.senders[name] = p
	}
	l.o.logf("Redis, deployment and senders are ready")
	return l.ctx.Err()
}

// buildGuests puts those guests where the deployment finds them.
func (l *queueLab) buildGuests(names []string) {
	for _, name := range names {
		guest, err := tinyGuest(), error(nil)
		if name != "tiny" {
			guest, err = buildTask(l.ctx, name)
		}
		path := l.path(name + ".wasm")
		if err == nil {
			err = os.WriteFile(path, guest, 0o600)
		}
		if err != nil {
			l.o.logf("guest %s: left out: %v", name, err)
			continue
		}
		l.guests[name] = path
	}
}

// startEngine starts a process of the engine that sends, or can be told to serve.
func (l *queueLab) startEngine(name string) (*process, error) {
	setup := l.deployment.setupFile()
	switch name {
	case engineFloor:
		return startSelf(l.ctx, "floor", setup)
	case engineCaisson:
		return startSelf(l.ctx, "sender", setup)
	case engineAsynq:
		if l.paths[name] == "" {
			return nil, errors.New("it was not built")
		}
		return startProcess(l.ctx, name, l.paths[name], setup)
	}
	if l.celery == nil {
		return nil, errors.New("not installed")
	}
	cmd := exec.CommandContext(l.ctx, l.celery.python, "drive.py")
	l.celery.prepare(cmd, setup, "", name == engineSigned)
	return startCommand(name, cmd)
}

// addr is Redis's address at that distance, "" for its own.
func (l *queueLab) addr(delay time.Duration) (string, error) {
	if delay == 0 {
		return "", nil
	}
	if l.delays[delay] == nil {
		p, err := startDelay(l.redis.Addr, delay)
		if err != nil {
			return "", err
		}
		l.delays[delay] = p
	}
	return l.delays[delay].addr(), nil
}

func (l *queueLab) path(name string) string { return filepath.Join(l.folder, name) }

// close ends all and removes what this run has written.
func (l *queueLab) close() {
	for _, p := range l.senders {
		if err := p.stop(); err != nil && l.ctx.Err() == nil {
			l.o.logf("%v", err)
		}
	}
	for _, p := range l.delays {
		p.close()
	}
	if l.redis != nil {
		l.redis.stop()
	}
	_ = os.RemoveAll(l.folder) // of the temporary files
}
