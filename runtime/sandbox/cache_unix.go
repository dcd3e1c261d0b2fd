//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sandbox

import (
	"io/fs"
	"os"
	"syscall"
)

// modesMean: a file's mode says who may use it.
const modesMean = true

func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
