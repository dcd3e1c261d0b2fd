//go:build unix

package sandbox

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeros that take no memory before they are touched.
func reserve(n uint64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
}

// release gives back what reserve gave. It cannot fail for such a mapping.
func release(b []byte) { _ = unix.Munmap(b) }
