package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// A lab has the guests built and the engines started and loaded.
type lab struct {
	ctx       context.Context
	o         options
	folder    string
	guests    map[string]string   // path by name; a guest that could not be built is missing
	processes map[string]*process // by name; an engine that could not be started is missing
	loaded    map[load]bool
}

// A load is that an engine has a guest ready for a way.
type load struct{ process, way, guest string }

// openLab builds and starts everything. What cannot be had here is told and left out.
func openLab(ctx context.Context, o options) (*lab, error) {
	folder, err := workFolder()
	if err != nil {
		return nil, err
	}
	l := &lab{ctx: ctx, o: o, folder: folder, guests: map[string]string{}, processes: map[string]*process{}, loaded: map[load]bool{}}
	l.buildGuests()
	for _, name := range []string{"wazero", "bare", "cell"} {
		l.take(name, func() (*process, error) { return startSelf(ctx, name, l.cache(name)) })
	}
	for _, name := range []string{"extism", "wasmtime"} {
		l.take(name, func() (*process, error) {
			path, err := buildPeer(ctx, folder, name)
			if err != nil {
				return nil, err
			}
			return startProcess(ctx, name, path, l.cache(name))
		})
	}
	if ctx.Err() != nil {
		l.close()
		return nil, context.Cause(ctx)
	}
	return l, nil
}

func (l *lab) take(name string, start func() (*process, error)) {
	p, err := start()
	if err != nil {
		l.o.logf("engine %s: left out: %v", name, err)
		return
	}
	l.processes[name] = p
}

// buildGuests puts every guest where engines find it.
func (l *lab) buildGuests() {
	put := func(name string, build func() ([]byte, error)) {
		guest, err := build()
		path := filepath.Join(l.folder, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".wasm")
		if err == nil {
			err = os.WriteFile(path, guest, 0o600)
		}
		if err != nil {
			l.o.logf("guest %s: left out: %v", name, err)
			return
		}
		l.guests[name] = path
	}
	put("tiny", func() ([]byte, error) { return tinyGuest(), nil })
	for _, a := range runaways() {
		put(a.name, func() ([]byte, error) { return a.guest, nil })
	}
	put(guestDeep, func() ([]byte, error) { return deepGuest(), nil })
	for name := range taskSources {
		put(name, func() ([]byte, error) { return buildTask(l.ctx, name) })
	}
	for _, name := range computeGuests {
		put(name, func() ([]byte, error) { return guesttest.Wasm(l.ctx, name) })
	}
}

// load has every engine compile what it will run, the engines side by side.
func (l *lab) load(wanted map[load]bool) {
	byProcess := map[string][]load{}
	for w := range wanted {
		if l.processes[w.process] != nil && l.guests[w.guest] != "" {
			byProcess[w.process] = append(byProcess[w.process], w)
		}
	}
	var mu sync.Mutex
	var done sync.WaitGroup
	for name, loads := range byProcess {
		done.Go(func() {
			for _, w := range loads {
				q := line.Request{Op: "load", Way: w.way, Guest: w.guest, Path: l.guests[w.guest]}
				if _, err := l.processes[name].ask(q); err != nil {
					l.o.logf("left out: %v", err)
					continue
				}
				mu.Lock()
				l.loaded[w] = true
				mu.Unlock()
			}
		})
	}
	done.Wait()
	l.o.logf("guests and engines are ready")
}

// close ends the engines.
func (l *lab) close() {
	for _, p := range l.processes {
		if err := p.stop(); err != nil {
			l.o.logf("%v", err)
		}
	}
}

// cache is the folder of an engine's compile cache, which stays from run to run.
func (l *lab) cache(engine string) string { return filepath.Join(l.folder, "cache-"+engine) }
