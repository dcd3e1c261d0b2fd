package sandbox

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// childAttributes keep a terminal's interrupt from the child: the worker decides when it ends.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills a child that was not waited for yet, and all that it began.
func killGroup(p *os.Process) { _ = unix.Kill(-p.Pid, unix.SIGKILL) }

// limitProcess bounds this process for good. Reaching a bound ends it: Go has no answer to memory that it does not get, and at the
// bound of CPU time it ends itself, with exitCPU.
//
// Memory is bounded as data (private and writable), beyond what is there already: Go reserves addresses that it does not use, and
// the race detector hundreds of gigabytes of them.
func limitProcess(l admitLimits) error {
	data, err := dataSize()
	if err != nil {
		return err
	}
	memory := data + l.memory*memoryFactor
	seconds := uint64((l.cpu + time.Second - 1) / time.Second)
	var errs []error
	for _, r := range []struct {
		resource int
		most     uint64
	}{
		{unix.RLIMIT_DATA, memory}, {unix.RLIMIT_NOFILE, childFiles}, {unix.RLIMIT_FSIZE, artifactSizeMax}, {unix.RLIMIT_CORE, 0},
	} {
		errs = append(errs, lower(r.resource, r.most, r.most))
	}
	spent := make(chan os.Signal, 1)
	signal.Notify(spent, unix.SIGXCPU)
	go func() { // ends with the process
		<-spent
		os.Exit(exitCPU)
	}()
	errs = append(errs, lower(unix.RLIMIT_CPU, seconds, seconds+1)) // the kernel kills should that not come to it
	errs = append(errs, unix.Setpriority(unix.PRIO_PROCESS, 0, childNiceness))
	// Should the kernel run out of memory meanwhile, let it take this process first. Not every container has the file.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return errors.Join(errs...)
}

// lower sets both limits of a resource, unless they are lower already.
func lower(resource int, soft, hard uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	hard = min(hard, now.Max)
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: min(soft, hard), Max: hard})
}

// dataSize returns what RLIMIT_DATA counts of this process now, in bytes.
// Source: proc_pid_status(5), VmData.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(status, []byte("\nVmData:"))
	fields := bytes.Fields(after[:min(len(after), 64)])
	if len(fields) < 2 || string(fields[1]) != "kB" {
		return 0, errors.New("/proc/self/status has no VmData")
	}
	kib, err := strconv.ParseUint(string(fields[0]), 10, 64)
	return kib << 10, err
}
