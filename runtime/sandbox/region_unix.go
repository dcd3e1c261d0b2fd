//go:build unix

package sandbox

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeros that take no memory before they are touched. No huge pages: one written byte would cost two megabytes.
func reserve(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
	if err != nil {
		return nil, err
	}
	keepSmallPages(b)
	return b, nil
}

// release gives back what reserve gave, and what was mapped over it. It cannot fail for such a mapping.
func release(b []byte) { _ = unix.Munmap(b) }
