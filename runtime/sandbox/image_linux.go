package sandbox

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// newFileImage writes memory into a sealed memfd, sparse where it is zero, so that cells can map it.
// The mapping that restores read from is private and read-only: kernels before 6.7 allow no shared one under F_SEAL_WRITE.
// Errors: the machine has no memory, descriptors or mappings left, or the kernel has no memfd.
func newFileImage(memory []byte, page int) (i *image, err error) {
	data := trimmed(memory, page)
	i = &image{size: len(memory), file: noFile}
	if len(data) == 0 {
		return i, nil
	}
	defer func() {
		if err != nil {
			i.close()
			i = nil
		}
	}()
	if i.file, err = unix.MemfdCreate("caisson-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING); err != nil {
		i.file = noFile
		return i, fmt.Errorf("memfd_create: %w", err)
	}
	if err = unix.Ftruncate(i.file, int64(len(data))); err != nil {
		return i, fmt.Errorf("ftruncate: %w", err)
	}
	if err = writeSparse(i.file, data, page); err != nil {
		return i, err
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL
	if _, err = unix.FcntlInt(uintptr(i.file), unix.F_ADD_SEALS, seals); err != nil {
		return i, fmt.Errorf("seal: %w", err)
	}
	if i.data, err = unix.Mmap(i.file, 0, len(data), unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		i.data = nil
		return i, fmt.Errorf("mmap: %w", err)
	}
	return i, nil
}

// writeSparse writes the pages of data that hold anything, neighbours at once.
func writeSparse(file int, data []byte, page int) error {
	for offset := 0; offset < len(data); {
		if zeroPage(data[offset : offset+page]) {
			offset += page
			continue
		}
		end := offset + page
		for end < len(data) && !zeroPage(data[end:end+page]) {
			end += page
		}
		for offset < end {
			n, err := unix.Pwrite(file, data[offset:end], int64(offset))
			if err != nil {
				return fmt.Errorf("pwrite: %w", err)
			}
			offset += n
		}
	}
	return nil
}

func zeroPage(p []byte) bool { return bytes.Equal(p, zeros[:len(p)]) }

// close frees the image. Cells that map it keep their mappings.
func (i *image) close() {
	if i.file == noFile {
		return
	}
	if i.data != nil {
		_ = unix.Munmap(i.data)
	}
	_ = unix.Close(i.file)
	i.data, i.file = nil, noFile
}
