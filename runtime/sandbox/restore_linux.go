package sandbox

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// restorers are the ways that there may be here, the fastest first.
var restorers = []way{scan, advise, fresh}

// scan asks the kernel which pages were written and copies them back. It needs Linux 6.7.
func scan() (*restorer, error) {
	pagemap, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pagemap: %w", err)
	}
	scanners := sync.Pool{New: func() any { return new(scanner) }}
	return &restorer{
		name: "PAGEMAP_SCAN", image: newFileImage, fill: mapImage,
		restore: func(m *memory, i *image, page int) (int, error) {
			s := scanners.Get().(*scanner)
			defer scanners.Put(s)
			return scanRestore(s, pagemap, m, i, page)
		},
		close: func() { _ = unix.Close(pagemap) },
	}, nil
}

func scanRestore(s *scanner, pagemap int, m *memory, i *image, page int) (written int, err error) {
	m.private = 0
	for at := 0; at < m.peak; {
		found, next, err := s.written(pagemap, m.region[:m.peak], at)
		if err != nil {
			return written, fmt.Errorf("PAGEMAP_SCAN: %w", err)
		}
		for _, r := range found {
			m.private += int(r.end-r.start) / page
			written += copyBack(m.region, i, int(r.start), int(r.end), page)
		}
		at = next
	}
	if m.shed(written) {
		if err := unix.Madvise(m.region[:m.peak], unix.MADV_DONTNEED); err != nil {
			return written, fmt.Errorf("madvise: %w", err)
		}
		m.private = 0
	}
	return written, nil
}

// shed says whether the private pages should be given back to the system. Once written they stay, since the next task mostly writes the same ones
// and a page fault costs more than a copy; but a cell whose tasks no longer do must not hold them for ever, nor look through them each time.
func (m *memory) shed(written int) bool {
	if m.private > privatePagesMax {
		m.excess = 0
		return true
	}
	if m.private <= privatePagesKept || m.private < 2*written {
		m.excess = 0
		return false
	}
	m.excess++
	if m.excess < excessMax {
		return false
	}
	m.excess = 0
	return true
}

// advise gives all private pages back to the system; the next use of each is a page fault. It also interrupts every thread of the process,
// for which it is the second choice.
func advise() (*restorer, error) {
	return &restorer{
		name: "MADV_DONTNEED", image: newFileImage, fill: mapImage,
		restore: func(m *memory, _ *image, _ int) (int, error) {
			if m.peak == 0 {
				return 0, nil
			}
			if err := unix.Madvise(m.region[:m.peak], unix.MADV_DONTNEED); err != nil {
				return 0, fmt.Errorf("madvise: %w", err)
			}
			return 0, nil
		},
		close: func() {},
	}, nil
}

// mapImage maps the image over the beginning of region. Huge pages stay off the new mapping, too.
func mapImage(region []byte, i *image) error {
	if len(i.data) == 0 {
		return nil
	}
	if err := mapOver(region, i.file, len(i.data)); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	keepSmallPages(region[:len(i.data)])
	return nil
}
