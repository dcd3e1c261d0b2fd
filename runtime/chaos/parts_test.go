package chaos_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parts are what a worker's resident memory is made of, by where its pages belong, in the order of the table.
var parts = []string{"go heap", "go beside its heap", "images and cells", "compiled guests", "program"}

// heapNames are what Go says of its heap, by the name in a worker's metrics: what is reserved for objects, what of that is empty, what
// of the empty was given back, and how large it may become until it is collected again.
var heapNames = map[string]string{
	"heap in use": "go_memstats_heap_inuse_bytes", "heap idle": "go_memstats_heap_idle_bytes", "heap released": "go_memstats_heap_released_bytes",
	"heap goal": "go_memstats_next_gc_bytes", "stacks": "go_memstats_stack_inuse_bytes",
}

// kernelFrom is below all mappings of a process whose place the kernel chose, on Linux with 47 bits of addresses.
const kernelFrom = 0x7000_0000_0000

// partOf says which part a mapping belongs to, by its line of smaps: addresses, rights, offset, device, inode and perhaps a path.
// Go chooses where its heap lies, by chance and far below kernelFrom, where the kernel puts what nobody chose a place for. What else Go maps
// has no name and cannot be run, but for the machine code of guests, which wazero maps. Source: proc(5), /proc/PID/smaps; the Go
// runtime's malloc.go, arenaHints.
func partOf(fields []string) string {
	path := ""
	if len(fields) > 5 {
		path = fields[5]
	}
	low, _, _ := strings.Cut(fields[0], "-")
	address, _ := strconv.ParseUint(low, 16, 64)
	switch {
	case strings.HasPrefix(path, "/memfd:"):
		return "images and cells"
	case strings.HasPrefix(path, "/"):
		return "program"
	case strings.Contains(fields[1], "x") && path == "":
		return "compiled guests"
	case address>>32 != 0 && address < kernelFrom:
		return "go heap"
	}
	return "go beside its heap"
}

// partsOf weighs the parts of a process that are in memory, in MiB.
func partsOf(smaps string) (map[string]float64, error) {
	out := map[string]float64{}
	part := ""
	scan := bufio.NewScanner(strings.NewReader(smaps))
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-") && !strings.HasSuffix(fields[0], ":"):
			part = partOf(fields)
		case len(fields) >= 2 && fields[0] == "Rss:":
			kib, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				return nil, err
			}
			out[part] += kib / 1024
		}
	}
	return out, scan.Err()
}

// TestParts sorts the mappings of a worker.
func TestParts(t *testing.T) {
	got, err := partsOf(`00400000-01400000 r-xp 00000000 fe:00 1234    /opt/caisson
Rss:                2048 kB
c000000000-c004000000 rw-p 00000000 00:00 0
Rss:                4096 kB
7f0000000000-7f0000100000 r-xp 00000000 00:00 0
Rss:                1024 kB
7f1000000000-7f1000100000 rw-p 00000000 00:05 77   /memfd:caisson (deleted)
Rss:                 512 kB
7f2000000000-7f2000100000 rw-p 00000000 00:00 0
Rss:                 256 kB
7ffd00000000-7ffd00100000 r-xp 00000000 00:00 0    [vdso]
Rss:                   4 kB
`)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]float64{"program": 2, "go heap": 4, "compiled guests": 1, "images and cells": 0.5, "go beside its heap": 0.25390625} {
		if got[part] != want {
			t.Errorf("%s: %v MiB, want %v", part, got[part], want)
		}
	}
}

// weighParts weighs the parts of the process that runs now, nothing when there is none. With -profiles it saves what it saw there, with
// a profile of the heap.
func (w *place) weighParts() (map[string]float64, error) {
	w.mu.Lock()
	pid := 0
	if w.cmd != nil {
		pid = w.cmd.Process.Pid
	}
	w.mu.Unlock()
	if pid == 0 {
		return nil, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	if *profilesFlag != "" {
		w.signal(syscall.SIGUSR1)
		name := fmt.Sprintf("%d-%s.smaps", pid, time.Now().Format("150405"))
		if err := os.WriteFile(filepath.Join(*profilesFlag, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	return partsOf(string(text))
}

// inParts is what partsOf returns, in a line.
func inParts(weighed map[string]float64) string {
	var all []string
	for _, name := range parts {
		all = append(all, fmt.Sprintf("%s %.1f", name, weighed[name]))
	}
	return strings.Join(all, ", ")
}
