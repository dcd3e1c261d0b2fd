package chaos_test

import (
	"os/exec"
	"syscall"
)

// dieWithUs lets the kernel end a child when the test's process is killed and can clean up nothing.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
