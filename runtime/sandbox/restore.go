package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// A restorer is a way to make the memory of a cell its image again. The meaning is the same with each; the cost is not.
type restorer struct {
	name string
	// image records a memory.
	image func(memory []byte, page int) (*image, error)
	// fill makes a region of zeros begin as the image.
	fill func(region []byte, i *image) error
	// restore undoes all writes since fill: region[:m.peak] is the image followed by zeros. written is how many pages had been changed, where that can be told.
	// nil: a cell serves one task only.
	restore func(m *memory, i *image, page int) (written int, err error)
	close   func()
}

// undo makes m the image again. A small memory is compared whole, since asking which of its pages were written takes longer than reading all of them.
func (r *restorer) undo(m *memory, i *image, page int) (written int, err error) {
	if m.peak > comparedMax {
		return r.restore(m, i, page)
	}
	m.private = m.peak / page // at most
	return copyBack(m.region, i, 0, m.peak, page), nil
}

// A way opens a restorer, if it can work on this system.
type way func() (*restorer, error)

// fresh is the way that works everywhere.
func fresh() (*restorer, error) {
	return &restorer{
		name:  "fresh instance",
		image: func(memory []byte, page int) (*image, error) { return newHeapImage(memory, page), nil },
		fill: func(region []byte, i *image) error {
			copy(region, i.data)
			return nil
		},
		close: func() {},
	}, nil
}

// openRestorer returns the first of ways that works here: the probe really writes and restores. It logs which that is, and why not a faster one.
func openRestorer(log hclog.Logger, ways []way) (*restorer, error) {
	page := os.Getpagesize()
	var faults []string
	for _, open := range ways {
		r, err := open()
		if err == nil {
			if err = r.probe(page); err == nil {
				said := []any{"by", r.name}
				if len(faults) > 0 {
					said = append(said, "since", strings.Join(faults, "; "))
				}
				log.Info("cells are restored", said...)
				return r, nil
			}
			r.close()
		}
		faults = append(faults, err.Error())
	}
	return nil, fmt.Errorf("sandbox: no way to restore cells works here: %s", strings.Join(faults, "; "))
}

// probe makes a memory of a few pages, changes each kind of page, and looks whether restoring brings all back.
func (r *restorer) probe(page int) error {
	const imagePages, pages = 4, 8
	want := make([]byte, imagePages*page)
	for _, p := range []int{0, 2} { // 1 is a hole; 3 and all that follows are zeros past the data
		want[p*page], want[(p+1)*page-1] = 0xca, 0x55
	}
	i, err := r.image(want, page)
	if err != nil {
		return fmt.Errorf("%s: image: %w", r.name, err)
	}
	defer i.close()
	m, err := newMemory(pages * page)
	if err != nil {
		return err
	}
	defer m.Free()
	if err := r.fill(m.region, i); err != nil {
		return fmt.Errorf("%s: fill: %w", r.name, err)
	}
	for range 2 { // the second time, pages are private already
		if !i.matches(m.region) {
			return fmt.Errorf("%s: the memory is not the image", r.name)
		}
		if r.restore == nil {
			return nil
		}
		for _, p := range []int{0, 1, 3, 4, pages - 1} {
			m.region[p*page+1] = 0xff
		}
		m.peak = len(m.region)
		if _, err := r.restore(m, i, page); err != nil {
			return fmt.Errorf("%s: restore: %w", r.name, err)
		}
	}
	if !i.matches(m.region) {
		return fmt.Errorf("%s: the memory is not the image", r.name)
	}
	return nil
}

// copyBack restores the pages of region from start to end, and returns how many of them were not the image's. Those that are equal
// are not written: reading is as fast, and they were mostly written by an earlier task and not by this one.
func copyBack(region []byte, i *image, start, end, page int) (changed int) {
	for ; start < end; start += page {
		now, was := region[start:start+page], i.page(start, page)
		if !bytes.Equal(now, was) {
			copy(now, was)
			changed++
		}
	}
	return changed
}
