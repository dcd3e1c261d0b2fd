package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestNoMemoryLeft takes the address space away from this process but for 1 GiB and asks for 4. That is the machine's
// lack and not the task's doing: a crash, which runs again elsewhere, and the sandbox goes on.
func TestNoMemoryLeft(t *testing.T) {
	p := load(t, sharedSandbox(t), module(assemble(nil, "\x41\x00\x0b")))
	job := sandbox.Job{Limits: capability.Limits{Memory: 4 << 30}}
	check(t, p.Run(context.Background(), job), expect{sandbox.Done, "", "", ""})
	var out sandbox.Outcome
	for i := range 4 { // what other tests left may be given back meanwhile, and there is room for one more
		job.Tenant = fmt.Sprint("another-", i) // a cell of the first would do, and is not theirs
		giveBack := limitAddresses(t, addressesUsed(t)+1<<30)
		out = p.Run(context.Background(), job)
		if giveBack(); out.Verdict != sandbox.Done {
			break
		}
	}
	check(t, out, expect{sandbox.Crash, "sandbox.crash", "", "no memory left on this machine"})
	check(t, p.Run(context.Background(), job), expect{sandbox.Done, "", "", ""})
}

// limitAddresses lowers this process's limit until the function that it returns is called.
func limitAddresses(t *testing.T, n uint64) (giveBack func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: n, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_AS, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// addressesUsed returns the size of this process's address space in bytes.
// Source: proc_pid_statm(5), the first field, in pages.
func addressesUsed(t *testing.T) uint64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}
