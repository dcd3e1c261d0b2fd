//go:build !linux

package sandbox

import (
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { _ = p.Kill() }

// limitProcess has no bounds that hold here: the worker's deadline alone ends a child.
func limitProcess(admitLimits) error { return nil }
