package sandbox_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// A guestParts is what assembleParts puts together: a reactor that imports caisson.result_write (function 0), caisson.log_write (1) and random_get (2).
type guestParts struct {
	memory     []byte // limits; nil: none
	table      bool   // one of one element
	global     bool   // (mut i64) 7
	initialize string // bodies; "" for none
	resume     string
	run        string
	data       string // at 16
}

func assembleParts(p guestParts) []byte {
	types := section(1, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 0, 0}, []byte("\x60\x02\x7f\x7f\x01\x7f"), []byte("\x60\x03\x7f\x7f\x7f\x01\x7f"))
	imports := section(2, cat(str("caisson"), str("result_write"), []byte{0, 2}), cat(str("caisson"), str("log_write"), []byte{0, 3}),
		cat(str("wasi_snapshot_preview1"), str("random_get"), []byte{0, 2}))
	functions, code := [][]byte{{0}}, [][]byte{function(p.run)}
	exports := [][]byte{cat(str("caisson_run"), []byte{0, 3})}
	for name, body := range map[string]string{"_initialize": p.initialize, "caisson_resume": p.resume} {
		if body != "" {
			exports = append(exports, cat(str(name), []byte{0, byte(3 + len(functions))}))
			functions, code = append(functions, []byte{1}), append(code, function(body))
		}
	}
	m := cat(header, types, imports, section(3, functions...))
	if p.table {
		m = cat(m, section(4, []byte{0x70, 0, 1}))
	}
	if p.memory != nil {
		m = cat(m, section(5, p.memory))
		exports = append(exports, cat(str("memory"), []byte{2, 0}))
	}
	if p.global {
		m = cat(m, section(6, []byte{0x7e, 1, 0x42, 7, 0x0b}))
	}
	m = cat(m, section(7, exports...), section(10, code...))
	if p.data != "" {
		m = cat(m, section(11, cat([]byte{0, 0x41, 16, 0x0b}, str(p.data))))
	}
	return m
}

// Pieces of bodies.
const (
	giveMemory = "\x41\x00\x41\x80\x80\x04\x10\x00\x1a"                     // result_write(0, 65536)
	giveGlobal = "\x41\x00\x23\x00\x37\x03\x00\x41\x00\x41\x08\x10\x00\x1a" // the global, by way of memory
	giveSize   = "\x41\x00\x3f\x00\x36\x02\x00\x41\x00\x41\x04\x10\x00\x1a" // memory.size
	give8      = "\x41\x00\x41\x08\x10\x00\x1a"                             // result_write(0, 8)
	grow3      = "\x41\x03\x40\x00\x1a"
	fillAll    = "\x41\x00\x41\xab\x01\x3f\x00\x41\x10\x74\xfc\x0b\x00" // every byte becomes 0xab
	setGlobal  = "\x42\x7f\x24\x00"
	draw8      = "\x41\x00\x41\x08\x10\x02\x1a" // random_get(0, 8)
	logByte    = "\x41\x01\x41\x10\x41\x01\x10\x01\x1a"
	trap       = "\x00"
	done       = "\x41\x00\x0b"
)

// marks is a guest that gives all that it can see and then leaves marks everywhere.
var marks = assembleParts(guestParts{memory: []byte{0, 1}, global: true, data: "data", run: giveMemory + giveGlobal + giveSize + grow3 + fillAll + setGlobal + done})

// eachWay runs a test with each way to restore that this system has.
func eachWay(t *testing.T, test func(t *testing.T, s *sandbox.Sandbox, way string)) {
	t.Helper()
	for _, way := range sandbox.Ways() {
		t.Run(way, func(t *testing.T) {
			h, err := host.New(host.Config{KV: newKV()})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			cache, err := guesttest.Compiled()
			if err != nil {
				t.Fatal(err)
			}
			s, err := sandbox.OpenBy(context.Background(), sandbox.Config{Host: h, CheckRate: 1, CacheDir: cache}, way)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			test(t, s, way)
		})
	}
}

// TestNothingIsLeft: a guest that fills its memory and sets its globals sees none of that the next time, however it is restored. It also grew its memory, which is
// as long as at first again.
func TestNothingIsLeft(t *testing.T) {
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, way string) {
		p := load(t, s, module(marks))
		want := make([]byte, 64<<10, 64<<10+12)
		copy(want[16:], "data")
		want = append(want, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
		for i := range 10 {
			out := p.Run(context.Background(), sandbox.Job{})
			check(t, out, expect{sandbox.Done, "", "", ""})
			if !bytes.Equal(out.Output, want) {
				t.Fatalf("run %d sees other bytes, the first at %d", i, firstDifference(out.Output, want))
			}
			if out.Usage.Memory != 4<<16 {
				t.Errorf("peak memory %d", out.Usage.Memory)
			}
			if strings.HasPrefix(way, "PAGEMAP_SCAN") && out.Usage.Pages != 64 {
				t.Errorf("%d pages were restored, want 64", out.Usage.Pages)
			}
		}
		stats := s.Stats()
		if way == "fresh instance" {
			if stats.Restored != 0 || stats.Dropped["fresh"] != 10 {
				t.Errorf("%+v", stats)
			}
		} else if stats.Restored != 10 || stats.Built != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

// TestNothingIsLeftInASmallMemory: one that stays small is compared whole, which finds every byte, whatever else the system could do.
func TestNothingIsLeftInASmallMemory(t *testing.T) {
	small := assembleParts(guestParts{memory: []byte{0, 1}, global: true, data: "data", run: giveMemory + fillAll + setGlobal + done})
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, way string) {
		p := load(t, s, module(small))
		want := make([]byte, 64<<10)
		copy(want[16:], "data")
		for i := range 3 {
			out := p.Run(context.Background(), sandbox.Job{})
			check(t, out, expect{sandbox.Done, "", "", ""})
			if !bytes.Equal(out.Output, want) {
				t.Fatalf("run %d sees other bytes, the first at %d", i, firstDifference(out.Output, want))
			}
			if pages := out.Usage.Pages; way != "fresh instance" && pages != 16 {
				t.Errorf("%d pages were restored, want 16", pages)
			}
		}
		if stats := s.Stats(); way != "fresh instance" && (stats.Restored != 3 || stats.Built != 1) {
			t.Errorf("%+v", stats)
		}
	})
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestNoCanaryStays searches all memory of idle cells for what a task of a Go guest was given.
func TestNoCanaryStays(t *testing.T) {
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, way string) {
		p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
		for i := range 5 {
			canary := fmt.Sprintf("canary-%d-%d", i, time.Now().UnixNano())
			out := p.Run(context.Background(), sandbox.Job{Input: []byte("echo " + canary), Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute}})
			check(t, out, expect{sandbox.Done, "", canary, ""})
			if s.IdleHold([]byte(canary[:12])) {
				t.Error("an idle cell holds what its task was given")
			}
			if n := s.IdleRecords(); n != 0 {
				t.Errorf("%d idle cells hold what belongs to a run", n)
			}
		}
		if !s.IdleHold([]byte("a stray print")) && way != "fresh instance" { // of its data
			t.Error("the search finds nothing at all")
		}
	})
}

// TestTablesAreNotReused: a module that can change a table gets a new instance each time.
func TestTablesAreNotReused(t *testing.T) {
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, _ string) {
		// status = !is_null(table.get 0); table.set 0 (ref.func caisson_run)
		p := load(t, s, module(assembleParts(guestParts{table: true, run: "\x41\x00\x25\x00\xd1\x45\x41\x00\xd2\x03\x26\x00\x0b"})))
		for range 5 {
			check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
		}
		if n := s.Stats().Dropped["not_resettable"]; n != 5 {
			t.Errorf("%d cells were dropped", n)
		}
	})
}

// TestGrownToTheMaximum: a memory that grew to the module's own maximum is restored as any other, and grows no further; that it does not is no limit's doing.
func TestGrownToTheMaximum(t *testing.T) {
	s := openSandbox(t, host.Config{})
	const growBy1 = "\x41\x01\x40\x00" // memory.grow 1, its answer on the stack
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{1, 1, 4}, run: giveSize + grow3 + fillAll + growBy1 + "\x1a" + done})))
	for range 3 {
		check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "\x01\x00\x00\x00", ""})
	}
	if got := s.Stats(); got.Built != 1 || got.Restored != 3 {
		t.Errorf("%d cells were built and %d restored", got.Built, got.Restored)
	}
	for _, memory := range [][]byte{{1, 1, 4}, {1, 4, 4}, {1, 0, 0}, {1, 0, 1}} { // ends with status 1 when a page beyond the maximum was refused
		grow := strings.Repeat(growBy1+"\x1a", int(memory[2]-memory[1]))
		p := load(t, s, module(assembleParts(guestParts{memory: memory, run: grow + growBy1 + "\x41\x7f\x46\x0b"})))
		for range 2 {
			check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Retry, "task.error", "", "status 1"})
		}
	}
	if got := s.Stats().Dropped; got["restore_failed"] != 0 {
		t.Errorf("%v", got)
	}
}

// TestCheckRate: as many restored cells are checked as the rate says.
func TestCheckRate(t *testing.T) {
	const runs = 200
	for _, tt := range []struct {
		rate        float64
		least, most int64
	}{{1, runs, runs}, {sandbox.CheckNever, 0, 0}, {0.5, runs / 4, runs * 3 / 4}} {
		s := openConfig(t, host.Config{}, sandbox.Config{CheckRate: tt.rate})
		p := load(t, s, module(marks))
		for range runs {
			p.Run(context.Background(), sandbox.Job{})
		}
		if got := s.Stats(); got.Restored != runs || got.Checked < tt.least || got.Checked > tt.most {
			t.Errorf("rate %g: %d of %d restored cells were checked, want %d to %d", tt.rate, got.Checked, got.Restored, tt.least, tt.most)
		}
	}
}

// TestTenantsShareNothing: each tenant has its own template, drawn with its own randomness, and its own cells.
func TestTenantsShareNothing(t *testing.T) {
	s := openSandbox(t, host.Config{})
	wasm := assembleParts(guestParts{memory: []byte{0, 1}, initialize: draw8 + "\x0b", run: give8 + done})
	p := load(t, s, module(wasm))
	drawn := map[string]string{}
	for range 3 {
		for _, tenant := range []string{"", "acme", "other"} {
			out := p.Run(context.Background(), sandbox.Job{Tenant: tenant})
			check(t, out, expect{sandbox.Done, "", "", ""})
			if before, ok := drawn[tenant]; ok && before != string(out.Output) {
				t.Errorf("tenant %q: the template drew twice", tenant)
			}
			drawn[tenant] = string(out.Output)
		}
	}
	if drawn["acme"] == drawn["other"] || drawn[""] == drawn["acme"] {
		t.Error("two tenants have one template")
	}
	if stats := s.Stats(); stats.Templates != 3 || stats.Built != 3 || stats.IdleCells != 3 {
		t.Errorf("%+v", stats)
	}
}

// TestStartEach: the manifest can say that _initialize runs for every task.
func TestStartEach(t *testing.T) {
	s := openSandbox(t, host.Config{})
	m := module(assembleParts(guestParts{memory: []byte{0, 1}, initialize: draw8 + "\x0b", run: give8 + done}))
	m.Start = "each"
	p := load(t, s, m)
	seen := map[string]bool{}
	for range 5 {
		seen[string(p.Run(context.Background(), sandbox.Job{}).Output)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different draws of 5", len(seen))
	}
	if stats := s.Stats(); stats.Restored != 5 || stats.Built != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestConstantsMakeTemplates: another env, args or start is another program.
func TestConstantsMakeTemplates(t *testing.T) {
	s := openSandbox(t, host.Config{})
	m := module(assembleParts(guestParts{memory: []byte{0, 1}, run: done}))
	for _, c := range []sandbox.Module{{}, {Args: []string{"a"}}, {Env: []string{"a"}}, {Start: "each"}, {Args: []string{"a", "b"}}, {Args: []string{"a"}, Env: []string{"b"}}} {
		m.Args, m.Env, m.Start = c.Args, c.Env, c.Start
		check(t, load(t, s, m).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
	}
	if n := s.Stats().Templates; n != 6 {
		t.Errorf("%d templates", n)
	}
}

// TestResume: caisson_resume runs before each task and never into the template.
func TestResume(t *testing.T) {
	s := openSandbox(t, host.Config{})
	add := "\x41\x00\x41\x00\x28\x02\x00\x41\x01\x6a\x36\x02\x00\x0b" // mem[0]++
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 1}, resume: add, run: give8 + done})))
	for range 3 {
		check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "\x01\x00\x00\x00\x00\x00\x00\x00", ""})
	}
}

// TestExitedCellsAreRestored: most commands end by proc_exit, and leave no more than those that return.
func TestExitedCellsAreRestored(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(goGuest(t, "command")))
	for i := range 4 {
		out := p.Run(context.Background(), sandbox.Job{Input: fmt.Appendf(nil, "exit %d", i), Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute}})
		if want := i == 0; (out.Verdict == sandbox.Done) != want {
			t.Errorf("%+v", out)
		}
	}
	if stats := s.Stats(); stats.Restored != 4 || stats.Built != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestDroppedCellsAreReplaced: after a trap the cell is gone, and another is built before the next task comes.
func TestDroppedCellsAreReplaced(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(assembleParts(guestParts{run: trap + "\x0b"})))
	for i := range int64(3) {
		check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Retry, "task.trap", "", ""})
		waitFor(t, func() bool { return s.Stats().IdleCells == 1 })
		if stats := s.Stats(); stats.Dropped["trapped"] != i+1 || stats.Built != i+2 || stats.Restored != 0 {
			t.Errorf("%+v", stats)
		}
	}
}

// waitFor yields until ok says so.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); goruntime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it did not come to pass in 10 s")
		}
	}
}

// TestFailedTemplateIsNotHammered: a module that traps while it is initialised fails its tasks, and is not tried again for each of them.
func TestFailedTemplateIsNotHammered(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 1}, data: "x", initialize: logByte + trap + "\x0b", run: done})))
	tries := 0
	job := sandbox.Job{Log: func(string, string) { tries++ }}
	for range 50 {
		check(t, p.Run(context.Background(), job), expect{sandbox.Retry, "task.trap", "", "unreachable"})
	}
	if tries != 1 {
		t.Errorf("tried %d times", tries)
	}
	job.Limits.Memory = 1 << 20 // under other limits it may go well
	check(t, p.Run(context.Background(), job), expect{sandbox.Retry, "task.trap", "", "unreachable"})
	if tries != 2 {
		t.Errorf("tried %d times", tries)
	}
}

// TestOneTemplateForMany: tasks that come at once wait for one template.
func TestOneTemplateForMany(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			out := p.Run(context.Background(), sandbox.Job{Input: []byte("count"), Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute}})
			check(t, out, expect{sandbox.Done, "", "1", ""})
		})
	}
	wg.Wait()
	if n := s.Stats().Templates; n != 1 {
		t.Errorf("%d templates", n)
	}
}

// TestIdleMemoryIsBounded: the least used cells and templates go when there are too many.
func TestIdleMemoryIsBounded(t *testing.T) {
	const most = 1 << 20
	s := openConfig(t, host.Config{}, sandbox.Config{CheckRate: 1, IdleMemory: most})
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 4}, run: fillAll + done})))
	for i := range 20 {
		check(t, p.Run(context.Background(), sandbox.Job{Tenant: fmt.Sprint(i)}), expect{sandbox.Done, "", "", ""})
		if stats := s.Stats(); stats.IdleSize+stats.ImageSize > most || stats.IdleSize < 0 {
			t.Fatalf("%+v", stats)
		}
		if counted, found := s.Shares(); !maps.Equal(counted, found) {
			t.Fatalf("shares %v, want %v", counted, found)
		}
	}
	stats := s.Stats()
	if stats.IdleCells == 0 || stats.Dropped["idle"]+int64(stats.IdleCells) != 20 {
		t.Errorf("%+v", stats)
	}
	check(t, p.Run(context.Background(), sandbox.Job{Tenant: "19"}), expect{sandbox.Done, "", "", ""})
	if built := s.Stats().Built; built != stats.Built {
		t.Error("the cell that was used last is gone")
	}
}

// TestTenantsKeepTheirShare: one tenant with a lot of programs drives out its own idle cells, and not those of another that has few and has not used them for long.
func TestTenantsKeepTheirShare(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{CheckRate: 1, IdleMemory: 1 << 20})
	m := module(assembleParts(guestParts{memory: []byte{0, 4}, run: fillAll + done}))
	small := load(t, s, m)
	check(t, small.Run(context.Background(), sandbox.Job{Tenant: "small"}), expect{sandbox.Done, "", "", ""})
	for i := range 20 {
		m.Args = []string{fmt.Sprint(i)} // a pool of its own
		check(t, load(t, s, m).Run(context.Background(), sandbox.Job{Tenant: "large"}), expect{sandbox.Done, "", "", ""})
	}
	built := s.Stats().Built
	check(t, small.Run(context.Background(), sandbox.Job{Tenant: "small"}), expect{sandbox.Done, "", "", ""})
	if s.Stats().Built != built {
		t.Error("the small tenant's cell was driven out")
	}
	if counted, found := s.Shares(); len(found) != 2 || !maps.Equal(counted, found) {
		t.Errorf("shares %v, want %v", counted, found)
	}
}

// TestLargerLimit: a task that may have more memory than an idle cell can grow to gets another cell.
func TestLargerLimit(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 1}, run: giveSize + grow3 + giveSize + done})))
	for _, tt := range []struct {
		limit int64
		want  string
	}{{2 << 16, "\x01\x00\x00\x00\x01\x00\x00\x00"}, {8 << 16, "\x01\x00\x00\x00\x04\x00\x00\x00"}, {2 << 16, "\x01\x00\x00\x00\x01\x00\x00\x00"}} {
		check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: tt.limit}}), expect{sandbox.Done, "", tt.want, ""})
	}
}

// TestRunning bounds how many guests run at once; the others wait, and their wall time does not run.
func TestRunning(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{CheckRate: 1, Running: 1})
	p := load(t, s, module(logThenLoop))
	inside := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		long := capability.Limits{Wall: time.Minute, CPU: time.Minute}
		check(t, p.Run(ctx, sandbox.Job{Limits: long, Log: func(string, string) { close(inside) }}), expect{sandbox.Crash, "task.cancelled", "", ""})
	})
	<-inside
	short, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	entered := false
	out := p.Run(short, sandbox.Job{Limits: capability.Limits{Wall: time.Millisecond}, Log: func(string, string) { entered = true }})
	check(t, out, expect{sandbox.Crash, "task.cancelled", "", ""})
	if entered {
		t.Error("two guests ran at once")
	}
	cancel()
	wg.Wait()
}

func TestBadCellConfig(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, c := range []sandbox.Config{{Running: -1}, {IdleMemory: -1}, {CheckRate: 1.5}, {CheckRate: -0.5}} {
		c.Host = h
		if s, err := sandbox.Open(context.Background(), c); err == nil {
			s.Close(context.Background())
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestWaysOfThisSystem: the machines that run these tests have the fast ways, so that the tests above really try them.
func TestWaysOfThisSystem(t *testing.T) {
	if goruntime.GOOS == "linux" && !slices.Equal(sandbox.Ways(), []string{"PAGEMAP_SCAN of marks", "PAGEMAP_SCAN", "MADV_DONTNEED", "fresh instance"}) {
		t.Error(sandbox.Ways())
	}
}
