package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/sdk/client"
)

// crashTasks is how many tasks the crash tests send.
const crashTasks = 2000

// workerProcess is a real worker in a process of its own, which can be killed.
type workerProcess struct {
	cmd   *exec.Cmd
	lines chan string   // its log
	ended chan struct{} // closed when it has ended and its log was read

	mu  sync.Mutex
	log bytes.Buffer
}

// startWorkerProcess runs `caisson worker`, by a command that becomes it where one is given.
func startWorkerProcess(t *testing.T, d *deployment, by ...string) *workerProcess {
	t.Helper()
	self, err := exec.LookPath("caisson") // TestMain put it on the path
	check(t, err)
	line := append(by, self, "worker", "--config", d.path("worker.toml"))
	w := &workerProcess{cmd: exec.Command(line[0], line[1:]...), lines: make(chan string, 1<<16), ended: make(chan struct{})}
	out, err := w.cmd.StderrPipe()
	check(t, err)
	check(t, w.cmd.Start())
	go func() { // ends with the process, which Cleanup ends
		defer close(w.ended)
		defer close(w.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			w.mu.Lock()
			fmt.Fprintln(&w.log, scan.Text())
			w.mu.Unlock()
			select {
			case w.lines <- scan.Text():
			default:
			}
		}
		_ = w.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.ended
		if t.Failed() {
			t.Logf("worker %d:\n%s", w.cmd.Process.Pid, w.tail())
		}
	})
	return w
}

func (w *workerProcess) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.log.String()
	return text[max(0, len(text)-4000):]
}

// await reads the log until n lines hold the text.
func (w *workerProcess) await(t *testing.T, text string, n int, within time.Duration) {
	t.Helper()
	late := time.After(within)
	for n > 0 {
		select {
		case line, open := <-w.lines:
			if !open {
				t.Fatalf("the worker ended before it said %q:\n%s", text, w.tail())
			}
			if strings.Contains(line, text) {
				n--
			}
		case <-late:
			t.Fatalf("the worker did not say %q in %v:\n%s", text, within, w.tail())
		}
	}
}

func (w *workerProcess) kill(t *testing.T) {
	t.Helper()
	check(t, w.cmd.Process.Signal(syscall.SIGKILL))
}

// pages are crashTasks small pages to render.
func crashWork(n int) []client.Task {
	tasks := make([]client.Task, n)
	for i := range tasks {
		tasks[i] = client.Task{Name: "report.csv", Payload: fmt.Appendf(nil, "n\n%d\n", i), ContentType: "text/csv"}
	}
	return tasks
}

// TestKilledWorker kills a worker with SIGKILL in the middle of its work and starts another: every result is there,
// each settled once, and nothing is left behind.
func TestKilledWorker(t *testing.T) {
	server := queuetest.Start(t, queuetest.Options{Sync: "always"})
	d := newDeployment(t, server, "report")
	d.config(t, `"5s"`, `"2s"`)
	d.config(t, `"warn"`, `"info"`)
	conn := d.connection(t)
	receipts, err := conn.client.SendMany(t.Context(), crashWork(crashTasks))
	check(t, err)

	first := startWorkerProcess(t, d)
	first.await(t, "task done", crashTasks/4, 2*time.Minute)
	first.kill(t)
	killed := time.Now()
	second := startWorkerProcess(t, d)
	got := results(t, conn, receipts, 90*time.Second)
	t.Logf("%d results after a kill -9 with a quarter done; the second worker took %.1f s", len(got), time.Since(killed).Seconds())

	settledOnce(t, server, conn, receipts)
	second.stop(t)
	doneOnce(t, first, second)
}

// doneOnce asserts that no task was said to be done twice, by whatever worker: a worker says so only after its
// settlement was applied.
func doneOnce(t *testing.T, workers ...*workerProcess) {
	t.Helper()
	said := map[string]bool{}
	for _, w := range workers {
		w.mu.Lock()
		for _, m := range regexp.MustCompile(`task done: .*task_id=([0-9a-f]+)`).FindAllStringSubmatch(w.log.String(), -1) {
			if said[m[1]] {
				t.Errorf("task %s was settled twice", m[1])
			}
			said[m[1]] = true
		}
		w.mu.Unlock()
	}
	t.Logf("%d tasks were said to be done, none twice", len(said))
	if len(said) == 0 {
		t.Error("no worker said that a task was done: the log has another form than this test reads")
	}
}

// stop ends the worker in good order.
func (w *workerProcess) stop(t *testing.T) {
	t.Helper()
	check(t, w.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-w.ended:
	case <-time.After(time.Minute):
		t.Fatalf("the worker did not end after SIGTERM:\n%s", w.tail())
	}
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM:\n%s", code, w.tail())
	}
}

// settledOnce asserts that every message is done in the broker, that nothing waits, runs or is dead, and that no
// message was settled twice: a second settlement of any would stand in the dead letters or change its worker.
func settledOnce(t *testing.T, server *queuetest.Server, conn *connection, receipts []client.Receipt) {
	t.Helper()
	look := inspector(t, server)
	lane := queue.Lane{Queue: demoQueue, Tenant: demoTenant, Priority: queue.PriorityNormal}
	deadline := time.Now().Add(30 * time.Second)
	for {
		depths, err := look.Depth(t.Context(), []queue.Lane{lane})
		check(t, err)
		left := depths.Lanes[0].Waiting + depths.Lanes[0].Running + depths.Due[demoQueue]
		if left == 0 && depths.Dead[demoQueue] == 0 {
			break
		}
		if depths.Dead[demoQueue] > 0 || time.Now().After(deadline) {
			t.Fatalf("left behind: %+v", depths)
		}
		<-time.After(100 * time.Millisecond)
	}
	for _, r := range receipts {
		state, err := look.State(t.Context(), lane, r.ID.String())
		check(t, err)
		if state.Phase != queue.PhaseDone {
			t.Fatalf("task %s is %q, not done", r.ID, state.Phase)
		}
	}
}

// TestRedisAway stops redis-server for ten seconds under load and starts it again: the worker goes on by itself, so does who follows a
// task, and nothing is lost.
func TestRedisAway(t *testing.T) {
	server := queuetest.Start(t, queuetest.Options{})
	d := newDeployment(t, server, "report")
	d.config(t, `"warn"`, `"info"`)
	conn := d.connection(t)
	receipts, err := conn.client.SendMany(t.Context(), crashWork(crashTasks))
	check(t, err)
	worker := startWorkerProcess(t, d)
	worker.await(t, "task done", crashTasks/4, 2*time.Minute)
	followed := startFollowing(t, d, receipts[crashTasks-1].ID)
	server.Stop()
	worker.await(t, "intake paused", 1, 30*time.Second)
	<-time.After(10 * time.Second) // the outage that is promised to be survived, and no wait for anything
	server.Restart()
	worker.await(t, "intake resumed", 1, 30*time.Second)
	got := results(t, conn, receipts, 90*time.Second)
	t.Logf("%d results over an outage of 10 s", len(got))
	if err := followed.Wait(); err != nil {
		t.Errorf("caisson task show --follow: %v", err)
	}
	settledOnce(t, server, conn, receipts)
	worker.stop(t)
}

// startFollowing runs `caisson task show --follow`, and returns when it has said how the task stands.
func startFollowing(t *testing.T, d *deployment, id envelope.MessageID) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("caisson", "task", "show", id.String(), "--follow", "--json", "--config", d.path("client.toml"))
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if scan := bufio.NewScanner(out); !scan.Scan() {
		t.Fatalf("nothing is said of the task that is followed: %v", cmd.Wait())
	}
	return cmd
}

// TestGarbageLane feeds the worker's lane 10,000 random and mutated entries: each ends in the dead letters with a
// code, the worker lives, and its memory stays flat.
func TestGarbageLane(t *testing.T) {
	const entries = 10_000
	server := queuetest.Start(t, queuetest.Options{Sync: "no"})
	d := newDeployment(t, server, "report")
	conn := d.connection(t)
	worker := startWorkerProcess(t, d)
	warm, err := conn.client.SendMany(t.Context(), crashWork(50))
	check(t, err)
	results(t, conn, warm, time.Minute)
	before := residentMemory(t, worker.cmd.Process.Pid)

	random := rand.New(rand.NewPCG(1, 2))
	lane := queue.Lane{Queue: demoQueue, Tenant: demoTenant, Priority: queue.PriorityNormal}
	honest := warm[0].Message
	for sent := 0; sent < entries; {
		var batch []queue.Outgoing
		for range 500 {
			batch = append(batch, queue.Outgoing{Lane: lane, Message: garbage(random, honest)})
		}
		check(t, conn.redis.Send(t.Context(), batch))
		sent += len(batch)
	}
	codes := deadCodes(t, server, entries, 2*time.Minute)
	after := residentMemory(t, worker.cmd.Process.Pid)
	t.Logf("dead letters by code: %v; resident memory %d MiB before, %d MiB after", codes, before>>20, after>>20)
	if grown := after - before; grown > 64<<20 {
		t.Errorf("resident memory grew by %d MiB", grown>>20)
	}
	again, err := conn.client.SendMany(t.Context(), crashWork(10))
	check(t, err)
	results(t, conn, again, time.Minute)
	worker.stop(t)
}

// garbage is random bytes, or an honest message with a few bytes changed, cut or repeated.
func garbage(random *rand.Rand, honest []byte) []byte {
	if random.IntN(2) == 0 {
		b := make([]byte, 1+random.IntN(400))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	b := bytes.Clone(honest)
	for range 1 + random.IntN(4) {
		b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
	}
	switch random.IntN(4) {
	case 0:
		b = b[:random.IntN(len(b))+1]
	case 1:
		b = append(b, b[:random.IntN(len(b))]...)
	}
	return b
}

// deadCodes waits for n dead letters and counts them by code; each must have one.
func deadCodes(t *testing.T, server *queuetest.Server, n int, within time.Duration) map[string]int {
	t.Helper()
	look := inspector(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	codes, after, seen := map[string]int{}, "", 0
	for seen < n {
		letters, err := look.DeadLetters(ctx, demoQueue, after, queue.PageMax)
		if err != nil {
			t.Fatalf("%d of %d dead letters came: %v", seen, n, err)
		}
		for _, l := range letters {
			if l.Code == "" {
				t.Fatalf("dead letter %s has no code", l.Entry)
			}
			codes[l.Code]++
			after = l.Entry
		}
		seen += len(letters)
		if len(letters) == 0 {
			<-time.After(50 * time.Millisecond)
		}
	}
	return codes
}

// residentMemory is the resident set of a process, in bytes.
func residentMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	var kib int64
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, err = fmt.Sscan(rest, &kib)
			check(t, err)
		}
	}
	if kib == 0 {
		t.Fatal("no VmRSS in /proc")
	}
	return kib << 10
}
