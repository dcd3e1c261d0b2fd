package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Marks are the write-protect bits of userfaultfd in its asynchronous mode: set on a range, each is cleared by the kernel when its page is written, by the
// program or for it by the kernel, and PAGEMAP_SCAN tells which are gone. Nobody reads the descriptor, and no fault waits for anybody.
// Source: Linux, Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst; include/uapi/linux/userfaultfd.h.

// Flags, features and modes of userfaultfd.
const (
	uffdUserModeOnly   = 1       // what a process without privileges may open; in the asynchronous mode it makes no difference
	uffdAPI            = 0xaa    // the one version there is
	uffdWPFileMemory   = 1 << 12 // WP_HUGETLBFS_SHMEM
	uffdWPUnpopulated  = 1 << 13 // marks on pages that are not there yet
	uffdWPAsync        = 1 << 15 // since Linux 6.7
	uffdRegisterModeWP = 1 << 1
	uffdProtectModeWP  = 1 << 0
)

// The ioctls, _IOWR(0xaa, n, size).
const (
	uffdioAPI          = 0xc018aa3f
	uffdioRegister     = 0xc020aa00
	uffdioWriteProtect = 0xc018aa06
)

// openMarks returns a descriptor that can mark pages of this process. Ranges that were marked stay so when it is closed no longer: then all are forgotten.
func openMarks() (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("userfaultfd: %w", errno)
	}
	arg := struct{ api, features, ioctls uint64 }{uffdAPI, uffdWPAsync | uffdWPUnpopulated | uffdWPFileMemory, 0}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioAPI, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		_ = unix.Close(int(fd))
		return 0, fmt.Errorf("UFFDIO_API: %w", errno)
	}
	return int(fd), nil
}

// registerMarks makes a mapping one that can have marks. Unmapping it undoes that.
func registerMarks(marks int, b []byte) error {
	arg := struct{ start, size, mode, ioctls uint64 }{uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint64(len(b)), uffdRegisterModeWP, 0}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(marks), uffdioRegister, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("UFFDIO_REGISTER: %w", errno)
	}
	return nil
}

// setMarks marks every page of b.
func setMarks(marks int, b []byte) error {
	arg := struct{ start, size, mode uint64 }{uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint64(len(b)), uffdProtectModeWP}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(marks), uffdioWriteProtect, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("UFFDIO_WRITEPROTECT: %w", errno)
	}
	return nil
}
