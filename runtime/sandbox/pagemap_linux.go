package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file and userfault_linux.go are the only ones of the room that use package unsafe: some system calls take addresses that the library has no slices for.

// pagemapScan is the number of the ioctl, _IOWR('f', 16, struct pm_scan_arg).
// Source: Linux, include/uapi/linux/fs.h; since 6.7. The numbers below are from there, too.
const pagemapScan = 0xc0606610

// Categories of a page.
const (
	pageIsWritten = 1 << 1 // has no mark: see userfault_linux.go
	pageIsFile    = 1 << 2 // of a file or shared memory: for a private mapping, one that was not written
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pageIsZero    = 1 << 5 // the kernel's one page of zeros: read, but not written
)

// scanArg is struct pm_scan_arg.
type scanArg struct {
	size, flags, start, end, walkEnd                              uint64
	vec, vecLen, maxPages                                         uint64
	categoryInverted, categoryMask, categoryAnyOfMask, returnMask uint64
}

// A pageRange is struct page_region: addresses of pages of the same categories.
type pageRange struct{ start, end, _ uint64 }

// A scanner is what one scan needs. It is on the heap, as the kernel writes into it.
type scanner struct {
	arg   scanArg
	found [scanRangesMax]pageRange
}

// A question is which pages a scan answers: those that have all categories of mask, an inverted one being one that they have not, and one of anyOf.
type question struct{ inverted, mask, anyOf, answer uint64 }

var (
	// notTheFiles asks for what was written in a private mapping: present or swapped out, and neither the file's nor the page of zeros.
	// To know whose a page is, the kernel looks at its descriptor, which takes longer than all the rest: 30 ns a page that is there.
	notTheFiles = question{
		inverted: pageIsFile | pageIsZero, mask: pageIsFile | pageIsZero,
		anyOf: pageIsPresent | pageIsSwapped, answer: pageIsPresent | pageIsSwapped,
	}
	// unmarked asks for what has no mark, which is in the table of pages itself: some 2 ns a page. That it also asks for present or swapped out is what keeps
	// it off a shortcut of the kernel's that until Linux 6.9 looked for the mark in the wrong place of an entry that is swapped out, and so missed written pages.
	// Source: Linux, "fs/proc/task_mmu: fix uffd-wp confusion in pagemap_scan_pmd_entry()", April 2024.
	//
	// Behind the image nothing is ever marked, and so unmarked is what is there; but not the page of zeros, which is there where a task only read.
	unmarked = question{inverted: pageIsZero, mask: pageIsWritten | pageIsZero, anyOf: pageIsPresent | pageIsSwapped, answer: pageIsWritten}
)

// find finds the pages of region, from an offset on, that q asks for. Ranges are offsets into region; next is where to go on, len(region) at the end.
func (s *scanner) find(pagemap int, q question, region []byte, from int) (found []pageRange, next int, err error) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(region))))
	s.arg = scanArg{
		size:  uint64(unsafe.Sizeof(s.arg)),
		start: base + uint64(from), end: base + uint64(len(region)),
		vec: uint64(uintptr(unsafe.Pointer(&s.found))), vecLen: uint64(len(s.found)),
		categoryInverted: q.inverted, categoryMask: q.mask, categoryAnyOfMask: q.anyOf, returnMask: q.answer,
	}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pagemap), pagemapScan, uintptr(unsafe.Pointer(&s.arg)))
	if errno != 0 {
		return nil, from, errno
	}
	found = s.found[:n]
	for i := range found {
		found[i].start -= base
		found[i].end -= base
	}
	return found, int(s.arg.walkEnd - base), nil
}

// mapOver maps the first n bytes of a file privately over the beginning of region.
func mapOver(region []byte, file, n int) error {
	_, err := unix.MmapPtr(file, 0, unsafe.Pointer(unsafe.SliceData(region)), uintptr(n),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err
}

// threadTime returns the CPU time of the calling thread. It is called at every tick: without the scheduler's bookkeeping,
// which costs as much as the call.
func threadTime() (ns int64, ok bool) {
	var t unix.Timespec
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano(), errno == 0
}
