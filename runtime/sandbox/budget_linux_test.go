package sandbox

import (
	"io/fs"
	"testing"
)

// TestBudget: claims are met in the order of their coming, and what is given back or given up is there again.
func TestBudget(t *testing.T) {
	b := newBudget(100)
	met := func(c *claim) bool {
		if c == nil {
			return true
		}
		select {
		case <-c.met:
			return true
		default:
			return false
		}
	}
	first := b.claim(60)
	large := b.claim(b.part(1 << 40)) // more than there is: all of it
	small := b.claim(10)              // there would be room
	if !met(first) || met(large) || met(small) {
		t.Fatal(met(first), met(large), met(small))
	}
	b.give(60)
	if !met(large) || met(small) {
		t.Fatal(met(large), met(small))
	}
	last := b.claim(95)
	b.drop(large) // met, but its run was cancelled at the same moment
	if !met(small) || met(last) {
		t.Fatal(met(small), met(last))
	}
	b.drop(last)
	b.give(10)
	b.give(-120) // a cell that was dropped and is still there
	later := b.claim(1)
	if met(later) || b.used() != 120 {
		t.Fatal(met(later), b.used())
	}
	b.give(120)
	if !met(later) {
		t.Fatal("what was given back is not there")
	}
	b.give(1)
	if b.used() != 0 || len(b.waiting) != 0 {
		t.Errorf("%+v", b)
	}
	if c := b.claim(100); c != nil {
		t.Error("all is free, and cannot be claimed")
	}
}

// TestGroupMemory: the least of what the groups on the way to the root allow.
func TestGroupMemory(t *testing.T) {
	files := map[string]string{
		"/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "2000\n", "/sys/fs/cgroup/memory.max": "3000\n",
		"/sys/fs/cgroup/memory/c/memory.limit_in_bytes": "1000\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	for groups, want := range map[string]int64{
		"0::/a/b\n": 2000, "0::/\n": 3000, "0::/x/../../..\n": 3000, "": 1 << 62, "nonsense\n1:memory\n": 1 << 62,
		"4:cpu:/c\n3:memory:/c/d\n0::/a\n": 1000,
	} {
		if got := groupMemory(groups, read); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
	if n := machineMemory(); n < 1<<24 || n > 1<<50 {
		t.Errorf("this machine has %d bytes", n)
	}
}
