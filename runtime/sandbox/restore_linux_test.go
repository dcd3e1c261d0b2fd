package sandbox

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// eachRestorer runs a test with every way to restore that works here.
func eachRestorer(t *testing.T, test func(t *testing.T, r *restorer)) {
	t.Helper()
	for _, open := range restorers {
		r, err := open()
		if err != nil {
			t.Fatal(err) // the machines that run these tests have them all
		}
		t.Run(r.name, func(t *testing.T) {
			defer r.close()
			if err := r.probe(os.Getpagesize()); err != nil {
				t.Fatal(err)
			}
			test(t, r)
		})
	}
}

// pattern is a memory of whole pages, some of them zeros, with a tail of zeros.
func pattern(page, pages int) []byte {
	b := make([]byte, pages*page)
	random := rand.New(rand.NewPCG(1, 2))
	for p := range pages * 3 / 4 {
		if p%5 != 1 {
			b[p*page+random.IntN(page)] = byte(1 + random.IntN(255))
		}
	}
	return b
}

// TestRestoreAnyWrites writes at random places of a memory that grew past its image, many times: each restore brings all back.
func TestRestoreAnyWrites(t *testing.T) {
	page := os.Getpagesize()
	eachRestorer(t, func(t *testing.T, r *restorer) {
		i, err := r.image(pattern(page, 300), page)
		if err != nil {
			t.Fatal(err)
		}
		defer i.close()
		m, err := newMemory(700 * page)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		if err := r.fill(m.region, i); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(3, 4))
		for round := range 60 {
			if !i.matches(m.region) {
				t.Fatalf("round %d: the memory is not the image", round)
			}
			if r.restore == nil {
				return
			}
			m.peak = (300 + random.IntN(401)) * page
			touched := map[int]bool{}
			for range random.IntN(200) {
				at := random.IntN(m.peak)
				m.region[at] ^= byte(1 + random.IntN(255))
				touched[at/page] = true
			}
			written, err := r.restore(m, i, page)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(r.name, "PAGEMAP_SCAN") && (written == 0 && len(touched) > 5 || written > len(touched)) {
				t.Errorf("round %d: %d pages were restored, %d written", round, written, len(touched))
			}
		}
	})
}

// TestImageIsSealed: nothing can change what all cells of a template start from.
func TestImageIsSealed(t *testing.T) {
	page := os.Getpagesize()
	eachRestorer(t, func(t *testing.T, r *restorer) {
		memory := pattern(page, 8)
		i, err := r.image(memory, page)
		if err != nil {
			t.Fatal(err)
		}
		defer i.close()
		if i.file != noFile {
			if _, err := os.NewFile(uintptr(dup(t, i.file)), "image").WriteAt([]byte{1}, 0); err == nil {
				t.Error("the memfd can be written")
			}
		}
		m, err := newMemory(8 * page)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		if err := r.fill(m.region, i); err != nil {
			t.Fatal(err)
		}
		for at := range m.region {
			m.region[at] = 0xee
		}
		if !i.matches(memory) {
			t.Error("a write to a cell changed the image")
		}
	})
}

// TestMatchesSeesOneByte: the check that watches the restorers is itself watched.
func TestMatchesSeesOneByte(t *testing.T) {
	page := os.Getpagesize()
	memory := pattern(page, 100)
	i := newHeapImage(memory, page)
	longer := append(bytes.Clone(memory), make([]byte, 40*page)...)
	if !i.matches(longer) {
		t.Fatal("the image and zeros do not match")
	}
	for _, at := range []int{0, page, 75*page - 1, 99 * page, 100 * page, len(longer) - 1} {
		longer[at] ^= 1
		if i.matches(longer) {
			t.Errorf("a change at %d is not seen", at)
		}
		longer[at] ^= 1
	}
}

// TestShed: pages that tasks no longer write are given back after a while, and too many at once.
func TestShed(t *testing.T) {
	for _, open := range []way{mark, scan} {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(r.name, func(t *testing.T) {
			defer r.close()
			testShed(t, r)
		})
	}
}

func testShed(t *testing.T, r *restorer) {
	page := os.Getpagesize()
	i, err := r.image(pattern(page, 400), page)
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	m, err := newMemory((privatePagesMax + 2) * page)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if err := r.fill(m.region, i); err != nil {
		t.Fatal(err)
	}
	run := func(pages int) {
		for p := range pages {
			m.region[p*page] ^= 0xff
		}
		if _, err := r.restore(m, i, page); err != nil {
			t.Fatal(err)
		}
	}
	m.peak = len(m.region)
	run(200)
	for range excessMax - 1 {
		run(2)
	}
	if m.private != 200 {
		t.Errorf("%d pages are kept, want 200", m.private)
	}
	run(2)
	if m.private != 0 {
		t.Errorf("%d pages are kept after %d tasks without use for them", m.private, excessMax)
	}
	run(3)
	if m.private != 3 {
		t.Errorf("%d pages are kept of 3 that were written after all had been given back", m.private)
	}
	run(privatePagesMax + 1)
	if m.private != 0 {
		t.Errorf("%d pages are kept, more than %d", m.private, privatePagesMax)
	}
	if !i.matches(m.region) {
		t.Error("the memory is not the image")
	}
}

// TestRestoreWhatTheKernelWrote: a system call that writes into the memory is a write like any other.
func TestRestoreWhatTheKernelWrote(t *testing.T) {
	page := os.Getpagesize()
	eachRestorer(t, func(t *testing.T, r *restorer) {
		if r.restore == nil {
			return
		}
		i, err := r.image(pattern(page, 8), page)
		if err != nil {
			t.Fatal(err)
		}
		defer i.close()
		m, err := newMemory(16 * page)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		if err := r.fill(m.region, i); err != nil {
			t.Fatal(err)
		}
		m.peak = len(m.region)
		for range 2 {
			random, err := os.Open("/dev/urandom")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(random, m.region[page/2:12*page]); err != nil {
				t.Fatal(err)
			}
			random.Close()
			if _, err := r.restore(m, i, page); err != nil {
				t.Fatal(err)
			}
			if !i.matches(m.region) {
				t.Fatal("the memory is not the image")
			}
		}
	})
}

// TestProbeRejects: a way that leaves one byte is not chosen.
func TestProbeRejects(t *testing.T) {
	broken := func() (*restorer, error) {
		r, err := scan()
		if err != nil {
			return nil, err
		}
		restore := r.restore
		r.restore = func(m *memory, i *image, page int) (int, error) {
			n, err := restore(m, i, page)
			m.region[len(m.region)-1] = 1
			return n, err
		}
		return r, nil
	}
	r, err := openRestorer(hclog.NewNullLogger(), []way{broken, advise})
	if err != nil || r.name != "MADV_DONTNEED" {
		t.Fatalf("%v, %v", r, err)
	}
	r.close()
	if _, err := openRestorer(hclog.NewNullLogger(), []way{broken}); err == nil {
		t.Error("a broken way was chosen")
	}
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
