package chaos_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// place is where a worker runs: a folder with its settings, and one process after the other.
type place struct {
	run  *run
	name string // also the worker's
	dir  string
	plan workerPlan
	page string // address of its metrics; empty: none

	mu     sync.Mutex
	cmd    *exec.Cmd // nil between two processes
	ending bool      // no further process is to start
	ready  chan struct{}
	once   sync.Once
	done   chan struct{} // closed when keep has returned
}

// restartPause is how long a supervisor waits before it starts a worker that died.
const restartPause = 50 * time.Millisecond

// keep starts a worker, and another one whenever it ends, until end is called.
func (w *place) keep() {
	defer close(w.done)
	for life := 0; ; life++ {
		faults := ""
		if life < len(w.plan.lives) {
			faults = w.plan.lives[life]
		}
		if w.run.plan.hasPoison() {
			faults += " poison:" + poisonMark + ":kill"
		}
		cmd := exec.Command(w.run.kit.caisson, "worker", "--config", filepath.Join(w.dir, "worker.toml"))
		cmd.Env = append(os.Environ(), "CAISSON_CHAOS="+faults)
		if *profilesFlag != "" {
			cmd.Env = append(cmd.Env, "CAISSON_PROFILES="+*profilesFlag, "GODEBUG=memprofilerate=65536")
		}
		dieWithUs(cmd)
		out, err := cmd.StderrPipe()
		if err != nil {
			w.run.fail(err)
			return
		}
		w.mu.Lock()
		if w.ending {
			w.mu.Unlock()
			return
		}
		if err := cmd.Start(); err != nil {
			w.mu.Unlock()
			w.run.fail(err)
			return
		}
		w.cmd = cmd
		w.mu.Unlock()
		stop := make(chan struct{})
		watching := make(chan struct{})
		go func() { defer close(watching); w.watch(cmd.Process.Pid, stop) }() // ends with stop
		w.read(out)
		err = cmd.Wait()
		close(stop)
		<-watching
		w.mu.Lock()
		w.cmd = nil
		ending := w.ending
		w.mu.Unlock()
		w.said(cmd, err, ending)
		if ending {
			return
		}
		time.Sleep(restartPause) // as a supervisor does, and no wait for anything
	}
}

// said records how a process ended: by a kill, which is a fault, or by itself.
func (w *place) said(cmd *exec.Cmd, err error, ending bool) {
	now := time.Now()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		w.run.add(event{At: now, Kind: fault, Who: w.name, Text: "kill", Until: now})
	case ending || err == nil:
		w.run.add(event{At: now, Kind: ended, Who: w.name, Text: fmt.Sprint(cmd.ProcessState.ExitCode())})
	case (cmd.ProcessState.ExitCode() == 1 || status.Signal() == syscall.SIGTERM) && w.run.toldToEnd(w.name):
		// A drain that had to cut ends with 1, and says so. A process that has only just started has no hand for the signal yet.
		w.run.add(event{At: now, Kind: ended, Who: w.name, Text: "0"})
	default:
		w.run.add(event{At: now, Kind: ended, Who: w.name, Text: cmd.ProcessState.String()})
	}
}

// watch finds the process stopped, which it did itself or was told to, and lets it go on after a while.
func (w *place) watch(pid int, stop chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if !stopped(pid) {
			continue
		}
		began := time.Now()
		select {
		case <-stop:
		case <-time.After(w.plan.stopFor):
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		w.run.add(event{At: began.Add(-50 * time.Millisecond), Kind: fault, Who: w.name, Text: "stop", Until: time.Now()})
	}
}

// stopped says whether the kernel has stopped a process. Source: proc(5), /proc/PID/stat.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	at := bytes.LastIndexByte(text, ')')
	return at >= 0 && len(text) > at+2 && text[at+2] == 'T'
}

// signal sends a signal to the process that runs now, if one does.
func (w *place) signal(s syscall.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cmd != nil {
		_ = w.cmd.Process.Signal(s)
	}
}

// end lets the worker drain and starts no other.
func (w *place) end() {
	w.mu.Lock()
	w.ending = true
	if w.cmd != nil {
		_ = w.cmd.Process.Signal(syscall.SIGCONT)
		_ = w.cmd.Process.Signal(syscall.SIGTERM)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(settleBound):
		w.signal(syscall.SIGKILL)
		<-w.done
	}
}

// logLine is what of a worker's log line a history needs.
type logLine struct {
	At      time.Time `json:"@timestamp"`
	Message string    `json:"@message"`
	ID      string    `json:"task_id"`
	Code    string    `json:"code"`
	Line    string    `json:"line"` // of the guest
	Attempt int       `json:"attempt"`
	Took    float64   `json:"run_ms"`
	Waited  float64   `json:"queue_ms"`
	Queue   string    `json:"queue"`
	Order   string    `json:"order"`
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// read makes events of a worker's log until it ends. The log is kept, too.
func (w *place) read(out interface{ Read([]byte) (int, error) }) {
	file, err := os.OpenFile(filepath.Join(w.run.dir, w.name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.run.fail(err)
		return
	}
	defer file.Close()
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		fmt.Fprintf(file, "%s\n", scan.Bytes())
		var l logLine
		if json.Unmarshal(scan.Bytes(), &l) != nil {
			continue // cut off by a kill, or not the log: a panic, which shows as the process's end
		}
		switch what, _ := strings.CutPrefix(l.Message, "task "); {
		case l.Message == "worker started":
			w.once.Do(func() { close(w.ready) })
		case l.Message == "guest says" && l.Line == "run":
			w.run.add(event{At: l.At, Kind: ran, ID: l.ID, Who: w.name})
		case l.Message == "guest says" && l.Line == "over":
			w.run.add(event{At: l.At, Kind: over, ID: l.ID, Who: w.name})
		case l.Message == "queue paused", l.Message == "queue resumed":
			w.run.add(event{At: l.At, Kind: heard, Queue: l.Queue, Who: w.name, Text: strings.TrimPrefix(l.Message, "queue "), Order: l.Order})
		case l.Message == "orders are not heard, the queue is served all the same":
			w.run.add(event{At: l.At, Kind: heard, Queue: l.Queue, Who: w.name, Text: "deaf"})
		case l.ID == "":
		case what == "done", what == "retried", what == "failed", what == "refused":
			w.run.add(event{At: l.At, Kind: said, ID: l.ID, Who: w.name, Text: what, Code: l.Code, Attempt: l.Attempt, Took: milliseconds(l.Took), Waited: milliseconds(l.Waited)})
		case what == "outcome lost":
			w.run.add(event{At: l.At, Kind: said, ID: l.ID, Who: w.name, Text: "lost", Code: l.Code, Attempt: l.Attempt, Took: milliseconds(l.Took), Waited: milliseconds(l.Waited)})
		}
	}
}
