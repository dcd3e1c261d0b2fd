package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/caisson-run/caisson/queue/queuetest"
)

// denyVerb makes this test program one that runs a command without some system calls, as an older kernel or a stricter container would: its arguments
// are names of denials, "--", and the command.
const denyVerb = "test-deny"

func init() { otherProcesses[denyVerb] = runDenied }

// A denial is a system call that a process does not get.
type denial struct {
	call   uint32
	second uint32 // its second argument, where it is refused with that only; else 0
	errno  syscall.Errno
}

var denials = map[string]denial{
	"userfaultfd":  {call: unix.SYS_USERFAULTFD, errno: unix.EPERM},
	"PAGEMAP_SCAN": {call: unix.SYS_IOCTL, second: 0xc0606610, errno: unix.ENOTTY},
	"memfd_create": {call: unix.SYS_MEMFD_CREATE, errno: unix.ENOSYS},
}

// runDenied becomes the command. It returns only when that fails.
func runDenied(args []string) int {
	names := args[:slices.Index(args, "--")]
	command := args[len(names)+1:]
	goruntime.LockOSThread() // filters are a thread's, and exec keeps those of the thread that calls it
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = deny(names)
	}
	if err == nil {
		err = syscall.Exec(path, command, os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// deny gives this thread, and what it becomes, a filter of system calls.
// Source: Linux, Documentation/userspace-api/seccomp_filter.rst; struct seccomp_data begins with int nr, and args are at 16, low half first here.
func deny(names []string) error {
	const nrAt, secondAt = 0, 24
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: skip, K: value}
	}
	answer := func(what uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
	}
	var filter []unix.SockFilter
	for _, name := range names {
		d := denials[name]
		no := answer(unix.SECCOMP_RET_ERRNO | uint32(d.errno))
		if d.second == 0 {
			filter = append(filter, load(nrAt), unless(d.call, 1), no)
		} else {
			filter = append(filter, load(nrAt), unless(d.call, 3), load(secondAt), unless(d.second, 1), no)
		}
	}
	filter = append(filter, answer(unix.SECCOMP_RET_ALLOW))
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// TestWaysToRestore starts the worker where the fast ways to restore cells are closed: it takes the next one, says once which and why, and its tasks have
// the same results. Restored cells are checked, all of them, as worker.toml says.
func TestWaysToRestore(t *testing.T) {
	server := queuetest.Start(t, queuetest.Options{})
	d := newDeployment(t, server, "report")
	d.config(t, `"warn"`, `"info"`)
	pages := fmt.Sprintf("127.0.0.1:%d", queuetest.FreePort(t))
	d.config(t, `"off"`, `"`+pages+`"`)
	d.config(t, "[sandbox]\n", "[sandbox]\ncheck = 1\n")
	conn := d.connection(t)
	for _, row := range []struct {
		denied     []string
		by, served string
	}{
		{nil, `by="PAGEMAP_SCAN of marks"`, "caisson_cells_checked_total 20"},
		{[]string{"userfaultfd"}, `by=PAGEMAP_SCAN since="userfaultfd: operation not permitted"`, "caisson_cells_checked_total 20"},
		{[]string{"userfaultfd", "PAGEMAP_SCAN"}, `by=MADV_DONTNEED since="userfaultfd: operation not permitted; PAGEMAP_SCAN: `, "caisson_cells_checked_total 20"},
		{[]string{"userfaultfd", "memfd_create"}, `by="fresh instance" since="userfaultfd: operation not permitted; PAGEMAP_SCAN: image: memfd_create: `,
			`caisson_cells_dropped_total{cause="fresh"} 20`},
	} {
		t.Run(row.by, func(t *testing.T) {
			prefix := append([]string{os.Args[0], denyVerb}, append(row.denied, "--")...)
			worker := startWorkerProcess(t, d, prefix...)
			worker.await(t, "worker started", 1, time.Minute)
			receipts, err := conn.client.SendMany(t.Context(), crashWork(20))
			check(t, err)
			results(t, conn, receipts, time.Minute)
			if got := scrape(t, pages); !strings.Contains(got, "\n"+row.served+"\n") {
				t.Errorf("no %q in\n%s", row.served, got)
			}
			worker.stop(t)
			if log := worker.log.String(); strings.Count(log, "cells are restored") != 1 || !strings.Contains(log, "cells are restored: "+row.by) {
				t.Errorf("not once %s", row.by)
			}
		})
	}
}

// scrape reads the metrics of a worker.
func scrape(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	check(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(t, err)
	return string(text)
}
