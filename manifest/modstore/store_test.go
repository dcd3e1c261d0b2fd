package modstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
)

// backend is a store with a way around it, for an attacker who can write to what lies beneath.
type backend struct {
	store  modstore.Store
	tamper func(name string, data []byte) // nil data removes
}

// backends are the stores that the conformance tests run against.
var backends = map[string]func(t *testing.T) backend{
	"dir": func(t *testing.T) backend {
		root := filepath.Join(t.TempDir(), "store")
		s, err := modstore.Dir(root)
		if err != nil {
			t.Fatal(err)
		}
		return backend{store: s, tamper: func(name string, data []byte) {
			path := filepath.Join(root, name)
			if data == nil {
				check(t, os.Remove(path))
				return
			}
			check(t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(t, os.WriteFile(path, data, 0o644))
		}}
	},
	"redis": openRedis,
	"blobs": func(t *testing.T) backend {
		m := newMemory()
		return backend{store: modstore.Over(m), tamper: func(name string, data []byte) {
			if m.blobs[name] = data; data == nil {
				delete(m.blobs, name)
			}
		}}
	},
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func each(t *testing.T, test func(t *testing.T, b backend)) {
	for name, open := range backends {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var ctx = context.Background()

func digestOf(module string) manifest.Digest { return sha256.Sum256([]byte(module)) }

// put publishes a release and its module.
func put(t testing.TB, s modstore.Store, k key, task string, number uint64, module string) {
	t.Helper()
	check(t, s.PutModule(ctx, digestOf(module), []byte(module)))
	check(t, s.PutRelease(ctx, task, number, release(t, k, task, number, module)))
}

func TestStoreKeepsWhatIsPut(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		if n, err := modstore.Newest(ctx, b.store, "img.a"); n != 0 || err != nil {
			t.Errorf("newest of nothing: %d, %v", n, err)
		}
		if _, err := b.store.Module(ctx, digestOf("one")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a module that is not there: %v", err)
		}
		for _, n := range []uint64{2, 10, 1, 9, manifest.NumberMax} {
			put(t, b.store, alice, "img.a", n, "one")
		}
		put(t, b.store, alice, "img.ab", 77, "two")
		put(t, b.store, alice, "img.a", 2, "one") // the same bytes again
		var got []uint64
		for stored, err := range b.store.Releases(ctx, "img.a", nil) {
			check(t, err)
			got = append(got, stored.Number)
			if want := release(t, alice, "img.a", stored.Number, "one"); !bytes.Equal(stored.Bytes, want) {
				t.Errorf("release %d came back changed", stored.Number)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint([]uint64{manifest.NumberMax, 10, 9, 2, 1}) {
			t.Errorf("order: %v", got)
		}
		if n, err := modstore.Newest(ctx, b.store, "img.ab"); n != 77 || err != nil {
			t.Errorf("newest: %d, %v", n, err)
		}
		if m, err := b.store.Module(ctx, digestOf("two")); string(m) != "two" || err != nil {
			t.Errorf("module: %q, %v", m, err)
		}
		// Other bytes under a name that is taken.
		if err := b.store.PutRelease(ctx, "img.a", 2, release(t, alice, "img.a", 2, "two")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second release 2: %v", err)
		}
		b.tamper(modstore.ModuleName(digestOf("one")), []byte("oops"))
		if err := b.store.PutModule(ctx, digestOf("one"), []byte("one")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a changed module was not noticed: %v", err)
		}
	})
}

func TestStoreRefusesNames(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		var bad *modstore.NameError
		for _, task := range []string{"", ".", "..", "../x", "a/b", "/etc", "A", "a..b", "a\x00", "a\n", `a\b`, "a*", "-a", strings.Repeat("a", 65)} {
			if err := b.store.PutRelease(ctx, task, 1, []byte("x")); !errors.As(err, &bad) {
				t.Errorf("task %q: %v", task, err)
			}
			for stored, err := range b.store.Releases(ctx, task, nil) {
				t.Errorf("task %q has release %v, %v", task, stored, err)
			}
			if _, err := modstore.Find(ctx, b.store, modstore.Query{Task: task, Publishers: policy}); code(err) != manifest.CodeUnknown {
				t.Errorf("task %q resolves: %v", task, err)
			}
		}
		// Not even when something stands under such a name.
		for _, task := range []string{"A", "a..b", "-a"} {
			b.tamper("releases/"+task+"/0000000000000001.json", []byte("x"))
			for stored := range b.store.Releases(ctx, task, nil) {
				t.Errorf("task %q has release %v", task, stored)
			}
		}
		b.tamper(modstore.ModuleName(digestOf("x")), make([]byte, manifest.ModuleSizeMax+1))
		if _, err := b.store.Module(ctx, digestOf("x")); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("a module without end: %v", err)
		}
		for _, n := range []uint64{0, manifest.NumberMax + 1} {
			if err := b.store.PutRelease(ctx, "img.a", n, []byte("x")); !errors.As(err, &bad) {
				t.Errorf("number %d: %v", n, err)
			}
		}
		for _, size := range []int{0, manifest.ReleaseSizeMax + 1} {
			if err := b.store.PutRelease(ctx, "img.a", 1, make([]byte, size)); !errors.As(err, &bad) {
				t.Errorf("release of %d bytes: %v", size, err)
			}
		}
		for _, size := range []int{0, manifest.ModuleSizeMax + 1} {
			module := make([]byte, size)
			if err := b.store.PutModule(ctx, sha256.Sum256(module), module); !errors.As(err, &bad) {
				t.Errorf("module of %d bytes: %v", size, err)
			}
		}
		if err := b.store.PutModule(ctx, digestOf("x"), []byte("y")); !errors.As(err, &bad) {
			t.Errorf("a module under another digest: %v", err)
		}
	})
}

// code gives the refusal's code, or "" for an error that is none.
func code(err error) string {
	var refused *manifest.ReleaseError
	if errors.As(err, &refused) {
		return refused.Code()
	}
	return ""
}

func TestFind(t *testing.T) {
	pinned := func(module string) func(*modstore.Query) {
		return func(q *modstore.Query) { q.Pin = digestOf(module) }
	}
	floor := func(n uint64) func(*modstore.Query) { return func(q *modstore.Query) { q.Floor = n } }
	name := func(n uint64) string { return modstore.ReleaseName("img.a", n) }
	tests := []struct {
		name     string
		arrange  func(t *testing.T, b backend) // after releases 1 (one), 2 (two), 3 (one), 12 (three)
		query    func(*modstore.Query)
		number   uint64 // of what is found
		code     string // or of the refusal
		rejected string // "number code" of each, newest first
	}{
		{name: "the newest", number: 12},
		{name: "the newest of a pinned module", query: pinned("one"), number: 3},
		{name: "a pinned module that no release has", query: pinned("four"), code: manifest.CodeUnknown},
		{name: "a task without releases", query: func(q *modstore.Query) { q.Task = "img.b" }, code: manifest.CodeUnknown},
		{name: "at the floor", query: floor(12), number: 12},
		{name: "below the floor", query: floor(13), code: manifest.CodeRollback},
		{name: "a pin below the floor", query: func(q *modstore.Query) { q.Pin, q.Floor = digestOf("one"), 4 }, code: manifest.CodeRollback},
		{name: "the newest is removed from the store", query: floor(12), code: manifest.CodeRollback,
			arrange: func(t *testing.T, b backend) { b.tamper(name(12), nil) }},
		{name: "the module is removed", code: manifest.CodeUnknown,
			arrange: func(t *testing.T, b backend) { b.tamper(modstore.ModuleName(digestOf("three")), nil) }},
		{name: "the module is changed", code: manifest.CodeDigest,
			arrange: func(t *testing.T, b backend) {
				b.tamper(modstore.ModuleName(digestOf("three")), []byte("Three"))
			}},
		{name: "the module is swapped for another good one", code: manifest.CodeDigest,
			arrange: func(t *testing.T, b backend) { b.tamper(modstore.ModuleName(digestOf("three")), []byte("two")) }},
		{name: "the module is grown without end", code: manifest.CodeDigest,
			arrange: func(t *testing.T, b backend) {
				b.tamper(modstore.ModuleName(digestOf("three")), make([]byte, manifest.ModuleSizeMax+1))
			}},
		{name: "rubbish among the good", number: 12, rejected: "99 release.format",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), []byte("{}")) }},
		{name: "an endless release among the good", number: 12, rejected: "99 release.format",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), make([]byte, manifest.ReleaseSizeMax+1)) }},
		{name: "an unknown publisher among the good", number: 12, rejected: "99 release.publisher",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), release(t, newKey("eve"), "img.a", 99, "one")) }},
		{name: "a publisher of other tasks", number: 12, rejected: "99 release.publisher",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), release(t, bob, "img.a", 99, "one")) }},
		{name: "a flipped bit", number: 3, rejected: "12 release.signature",
			arrange: func(t *testing.T, b backend) {
				r := release(t, alice, "img.a", 12, "three")
				i := bytes.Index(r, []byte(`"payload":"`)) + len(`"payload":"`) + 9
				r[i] ^= 'A' ^ 'B'
				b.tamper(name(12), r)
			}},
		{name: "an old release under a new number", number: 12, rejected: "99 release.format",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), release(t, alice, "img.a", 1, "one")) }},
		{name: "a release of another task", number: 12, rejected: "99 release.format",
			arrange: func(t *testing.T, b backend) { b.tamper(name(99), release(t, alice, "img.z", 99, "one")) }},
		{name: "several bad ones", number: 12, rejected: "101 release.format, 100 release.format, 99 release.publisher",
			arrange: func(t *testing.T, b backend) {
				b.tamper(name(99), release(t, bob, "img.a", 99, "one"))
				b.tamper(name(100), []byte("x"))
				b.tamper(name(101), []byte("["))
			}},
		{name: "only bad ones: the newest says why", query: func(q *modstore.Query) { q.Task = "img.c" }, code: manifest.CodePublisher, rejected: "2 release.publisher, 1 release.format",
			arrange: func(t *testing.T, b backend) {
				b.tamper(modstore.ReleaseName("img.c", 2), release(t, bob, "img.c", 2, "one"))
				b.tamper(modstore.ReleaseName("img.c", 1), []byte("x"))
			}},
		{name: "names that are none of ours", number: 12,
			arrange: func(t *testing.T, b backend) {
				for _, n := range []string{".new-0011", "99.json", "0000000000000099.JSON", "0000000000000000.json", "+000000000000099.json", "9999999999999999.json", "x"} {
					b.tamper("releases/img.a/"+n, []byte("x"))
				}
			}},
	}
	each(t, func(t *testing.T, _ backend) {
		open := backends[filepath.Base(t.Name())]
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				b := open(t)
				for number, module := range map[uint64]string{1: "one", 2: "two", 3: "one", 12: "three"} {
					put(t, b.store, alice, "img.a", number, module)
				}
				if c.arrange != nil {
					c.arrange(t, b)
				}
				var rejected []string
				q := modstore.Query{Task: "img.a", Publishers: policy, Rejected: func(r modstore.Rejected) {
					rejected = append(rejected, fmt.Sprintf("%d %s", r.Number, r.Err.Code()))
				}}
				if c.query != nil {
					c.query(&q)
				}
				bound, err := modstore.Find(ctx, b.store, q)
				if code(err) != c.code || err == nil && bound.Number() != c.number || err != nil && c.number != 0 {
					t.Errorf("got release %d, %v", bound.Number(), err)
				}
				if got := strings.Join(rejected, ", "); got != c.rejected {
					t.Errorf("rejected %q, want %q", got, c.rejected)
				}
				if err == nil && manifest.Digest(sha256.Sum256(bound.Module())) != bound.Digest() {
					t.Error("the bytes are not those that were hashed")
				}
				if err != nil && bound.Module() != nil {
					t.Error("a refusal came with a module")
				}
			})
		}
	})
}

// What was hashed stays what is run, though the store changes a moment later.
func TestFindBindsOneBuffer(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		put(t, b.store, alice, "img.a", 1, "one")
		bound, err := modstore.Find(ctx, b.store, modstore.Query{Task: "img.a", Publishers: policy})
		check(t, err)
		b.tamper(modstore.ModuleName(digestOf("one")), []byte("two"))
		if string(bound.Module()) != "one" {
			t.Errorf("the module became %q", bound.Module())
		}
	})
}

func ExampleFind() {
	store := modstore.Over(newMemory())
	m, _ := manifest.Parse("task.toml", []byte("task = \"img.a\"\nmodule = \"a.wasm\"\n"))
	module := []byte("\x00asm\x01\x00\x00\x00")
	signed, _ := manifest.SignRelease(m, module, 1, alice)
	_ = store.PutModule(ctx, sha256.Sum256(module), module)
	_ = store.PutRelease(ctx, m.Task, 1, signed)

	bound, err := modstore.Find(ctx, store, modstore.Query{Task: "img.a", Publishers: policy})
	fmt.Println(bound.Number(), bound.Publisher(), len(bound.Module()), err)
	_, err = modstore.Find(ctx, store, modstore.Query{Task: "img.a", Publishers: policy, Floor: 2})
	fmt.Println(err)
	// Output:
	// 1 alice 8 <nil>
	// release: release 1 of "img.a" is older than 2, which was seen
}

// A store that fails is not a refusal: the task must wait, not die.
func TestUnavailable(t *testing.T) {
	m := newMemory()
	s := modstore.Over(m)
	put(t, s, alice, "img.a", 1, "one")
	m.fail = errors.New("connection refused")
	var down *modstore.UnavailableError
	if _, err := modstore.Find(ctx, s, modstore.Query{Task: "img.a", Publishers: policy}); !errors.As(err, &down) || code(err) != "" || !errors.Is(err, m.fail) || down.Code() != "release.unavailable" {
		t.Errorf("list: %v", err)
	}
	if _, err := modstore.Newest(ctx, s, "img.a"); !errors.As(err, &down) {
		t.Errorf("newest: %v", err)
	}
	if _, err := s.Module(ctx, digestOf("one")); !errors.As(err, &down) {
		t.Errorf("module: %v", err)
	}
	if err := s.PutRelease(ctx, "img.a", 2, []byte("x")); !errors.As(err, &down) {
		t.Errorf("put: %v", err)
	}
	m.fail = nil
	half := &failsOnRead{memory: m}
	if _, err := modstore.Find(ctx, modstore.Over(half), modstore.Query{Task: "img.a", Publishers: policy}); !errors.As(err, &down) {
		t.Errorf("a release that cannot be read must not make way for an older one: %v", err)
	}
	half.on = "modules/"
	if _, err := modstore.Find(ctx, modstore.Over(half), modstore.Query{Task: "img.a", Publishers: policy}); !errors.As(err, &down) {
		t.Errorf("module: %v", err)
	}
}

// failsOnRead lists, but cannot read names that begin with on.
type failsOnRead struct {
	*memory
	on string
}

func (f *failsOnRead) Get(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	if strings.HasPrefix(name, f.on) {
		return nil, errors.New("reset by peer")
	}
	return f.memory.Get(ctx, name, sizeMax)
}

func TestTooManyReleases(t *testing.T) {
	m := newMemory()
	s := modstore.Over(m)
	put(t, s, alice, "img.a", 1, "one")
	for n := uint64(2); n <= 10_000; n++ {
		m.blobs[modstore.ReleaseName("img.a", n)] = []byte("x")
	}
	var down *modstore.UnavailableError
	if _, err := modstore.Find(ctx, s, modstore.Query{Task: "img.a", Publishers: policy}); !errors.As(err, &down) {
		t.Errorf("a flooded store resolves: %v", err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		bodies := []string{"one", "two", "three", "four"}
		var wg sync.WaitGroup
		won := make(chan string, len(bodies))
		for _, body := range bodies {
			wg.Go(func() {
				if err := b.store.PutRelease(ctx, "img.a", 1, []byte(body)); err == nil {
					won <- body
				} else if !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: %v", body, err)
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			t.Fatalf("%d writers won one name", len(won))
		}
		for stored, err := range b.store.Releases(ctx, "img.a", nil) {
			if winner := <-won; err != nil || string(stored.Bytes) != winner {
				t.Errorf("stored %q, %v; %s won", stored.Bytes, err, winner)
			}
		}
	})
}
