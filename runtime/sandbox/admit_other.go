//go:build !linux

package sandbox

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }

// limitProcess has no bounds that hold here: the worker's deadline alone ends a child.
func limitProcess(admitLimits) error { return nil }
