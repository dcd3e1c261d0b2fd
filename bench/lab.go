package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	guests    map[string]string // path by name; a guest that could not be built is missing
	processes map[place]*process
	loaded    map[load]bool
	limits    *process // engine "cell", in which guests run into limits
}

// A place is the process of an engine that has one guest only. Guests of one process would change what rows of each other cost: a collector runs the more
// rarely the more garbage there is of others, and a fresh instance of Go leaves megabytes.
type place struct{ engine, guest string }

// A load is that an engine has the guest of its place ready for a way.
type load struct {
	place
	way string
}

// openLab builds and starts everything. What cannot be had here is told and left out.
func openLab(ctx context.Context, o options) (*lab, error) {
	folder, err := workFolder()
	if err != nil {
		return nil, err
	}
	l := &lab{ctx: ctx, o: o, folder: folder, guests: map[string]string{}, processes: map[place]*process{}, loaded: map[load]bool{}}
	l.buildGuests()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	l.limits, err = startSelf(ctx, "cell", cacheFolder(folder, "cell"))
	return l, err
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

// load starts every engine once for each guest that it will run, and has it compile that. The engines do so side by side.
func (l *lab) load(wanted map[load]bool) {
	byEngine := map[string]map[place][]load{}
	for w := range wanted {
		if l.guests[w.guest] == "" {
			continue
		}
		if byEngine[w.engine] == nil {
			byEngine[w.engine] = map[place][]load{}
		}
		byEngine[w.engine][w.place] = append(byEngine[w.engine][w.place], w)
	}
	var mu sync.Mutex
	var done sync.WaitGroup
	for engine, places := range byEngine {
		done.Go(func() {
			path, args, err := l.engine(engine)
			if err != nil {
				l.o.logf("engine %s: left out: %v", engine, err)
				return
			}
			for at, loads := range places {
				p, err := startProcess(l.ctx, engine, path, args...)
				if err != nil {
					l.o.logf("engine %s: left out: %v", engine, err)
					return
				}
				ready := l.loadInto(p, loads)
				mu.Lock()
				l.processes[at] = p
				for _, w := range ready {
					l.loaded[w] = true
				}
				mu.Unlock()
			}
		})
	}
	done.Wait()
	l.o.logf("guests and engines are ready")
}

// engine is the command line of an engine: bench's own, which is this program, or a peer, which is built first.
func (l *lab) engine(name string) (path string, args []string, err error) {
	if name == ownEngine {
		path, err = os.Executable()
		return path, []string{engineVerb, name, l.folder}, err
	}
	path, err = buildPeer(l.ctx, l.folder, name)
	return path, []string{cacheFolder(l.folder, name)}, err
}

// loadInto has p compile the guest of its place for each way, and returns those for which it could.
func (l *lab) loadInto(p *process, loads []load) (ready []load) {
	for _, w := range loads {
		if _, err := p.ask(line.Request{Op: "load", Way: w.way, Guest: w.guest, Path: l.guests[w.guest]}); err != nil {
			l.o.logf("left out: %v", err)
			continue
		}
		ready = append(ready, w)
	}
	return ready
}

// close ends the engines.
func (l *lab) close() {
	for _, p := range append(slices.Collect(maps.Values(l.processes)), l.limits) {
		if err := p.stop(); err != nil {
			l.o.logf("%v", err)
		}
	}
}

// cacheFolder is where an engine keeps what it has compiled, from run to run.
func cacheFolder(folder, engine string) string { return filepath.Join(folder, "cache-"+engine) }
