package sandbox

import "bytes"

// An image is the linear memory that the cells of one template start from. It never changes; any number of goroutines read it.
type image struct {
	size int    // of the memory in bytes
	data []byte // its bytes up to the last page that is not all zeros, whole pages of the system
	file int    // descriptor of the sealed memfd that data is a mapping of; noFile where images are kept on the heap
}

const noFile = -1

// zeros is what a page is compared with; no system has larger pages.
var zeros [64 << 10]byte

// trimmed returns memory without the zeros at its end, in whole pages.
func trimmed(memory []byte, page int) []byte {
	n := len(memory)
	for n > 0 && bytes.Equal(memory[n-page:n], zeros[:page]) {
		n -= page
	}
	return memory[:n]
}

// newHeapImage copies memory where there is no memfd.
func newHeapImage(memory []byte, page int) *image {
	return &image{size: len(memory), data: bytes.Clone(trimmed(memory, page)), file: noFile}
}

// matches says whether memory, which is at least i.size long, is the image and all zeros after it.
func (i *image) matches(memory []byte) bool {
	if len(memory) < i.size || !bytes.Equal(memory[:len(i.data)], i.data) {
		return false
	}
	for rest := memory[len(i.data):]; len(rest) > 0; {
		n := min(len(rest), len(zeros))
		if !bytes.Equal(rest[:n], zeros[:n]) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// page returns what the image holds at offset, one page long.
func (i *image) page(offset, page int) []byte {
	if offset >= len(i.data) {
		return zeros[:page]
	}
	return i.data[offset : offset+page]
}
