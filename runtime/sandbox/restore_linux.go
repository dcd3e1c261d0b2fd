package sandbox

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// restorers are the ways that there may be here, the fastest first.
var restorers = []way{mark, scan, advise, fresh}

// scan asks the kernel which pages were written and copies them back. It needs Linux 6.7.
func scan() (*restorer, error) {
	r, err := newScanning()
	if err != nil {
		return nil, err
	}
	return &restorer{
		name: "PAGEMAP_SCAN", image: newFileImage, fill: mapImage,
		restore: func(m *memory, i *image, page int) (written int, err error) {
			err = r.restore(m, i, page, &written, 0, m.peak, notTheFiles)
			if err == nil && m.shed(written) {
				err = m.giveBack()
			}
			return written, err
		},
		close: r.close,
	}, nil
}

// mark is scan with a mark on each page of the image that has not been written, so that the scan need not ask whose a page is. The marks are those of
// userfaultfd; that they are lost at the first write needs nobody's help. Where userfaultfd may not be used, scan stands in.
//
// A page is never marked anew: once written it stays private, and is compared after each task. That would need every thread of the process
// to be interrupted, as its right to write had to be taken back.
func mark() (*restorer, error) {
	marks, err := openMarks()
	if err != nil {
		return nil, err
	}
	r, err := newScanning()
	if err != nil {
		return nil, errors.Join(err, unix.Close(marks))
	}
	return &restorer{
		name: "PAGEMAP_SCAN of marks", image: newFileImage,
		fill: func(region []byte, i *image) error {
			if err := mapImage(region, i); err != nil || len(i.data) == 0 {
				return err
			}
			return errors.Join(registerMarks(marks, region[:len(i.data)]), setMarks(marks, region[:len(i.data)]))
		},
		restore: func(m *memory, i *image, page int) (written int, err error) {
			err = r.restore(m, i, page, &written, 0, m.peak, unmarked) // one call, as each is a good part of what a small task takes
			if err == nil && m.shed(written) {
				end := min(len(i.data), m.peak)
				if err = m.giveBack(); err == nil && end > 0 {
					err = setMarks(marks, m.region[:end])
				}
			}
			return written, err
		},
		close: func() {
			r.close()
			_ = unix.Close(marks)
		},
	}, nil
}

// scanning is what scans of any number of goroutines share.
type scanning struct {
	pagemap  int
	scanners sync.Pool
}

func newScanning() (*scanning, error) {
	pagemap, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pagemap: %w", err)
	}
	return &scanning{pagemap: pagemap, scanners: sync.Pool{New: func() any { return new(scanner) }}}, nil
}

func (r *scanning) close() { _ = unix.Close(r.pagemap) }

// restore copies back the pages from start to end that q asks for, and adds those that were not the image's to written. m.private counts what was found;
// it begins anew with start 0.
func (r *scanning) restore(m *memory, i *image, page int, written *int, start, end int, q question) error {
	if start == 0 {
		m.private = 0
	}
	s := r.scanners.Get().(*scanner)
	defer r.scanners.Put(s)
	for at := start; at < end; {
		found, next, err := s.find(r.pagemap, q, m.region[:end], at)
		if err != nil {
			return fmt.Errorf("PAGEMAP_SCAN: %w", err)
		}
		for _, f := range found {
			m.private += int(f.end-f.start) / page
			*written += copyBack(m.region, i, int(f.start), int(f.end), page)
		}
		at = next
	}
	return nil
}

// giveBack gives all pages back to the system: the memory is the image again, and each next use of a page is a fault.
func (m *memory) giveBack() error {
	if err := unix.Madvise(m.region[:m.peak], unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("madvise: %w", err)
	}
	m.private = 0
	return nil
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
