package redisqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// onBoth runs test against a Redis of either kind, as the given user.
func onBoth(t *testing.T, user string, test func(t *testing.T, c *redisqueue.Client, b *broker)) {
	t.Run("redis", func(t *testing.T) {
		s := queuetest.Start(t, queuetest.Options{})
		test(t, dial(t, configOf(s.Login(user))), newBroker(t, s.Login, func(time.Duration) {}))
	})
	t.Run("miniredis", func(t *testing.T) {
		b, _ := openMiniWithServer(t)
		test(t, b.worker, b)
	})
}

func openKV(t *testing.T, c *redisqueue.Client, conf redisqueue.KVConfig) *redisqueue.KV {
	t.Helper()
	kv, err := redisqueue.OpenKV(c, conf)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func TestKV(t *testing.T) {
	onBoth(t, queuetest.UserKV, func(t *testing.T, c *redisqueue.Client, b *broker) {
		ctx := t.Context()
		kv := openKV(t, c, redisqueue.KVConfig{})
		awkward := []string{"a", "a/b", "a/b/c", "a:b", "{x}", "..", "../acme", "a\x00b", "\xff\xff", "|", "0|", strings.Repeat("k", 1024), "values", "é"}
		for i, key := range awkward {
			if err := kv.Put(ctx, "acme", key, []byte(fmt.Sprint("v|", i, "\x00")), 0); err != nil {
				t.Fatal(err)
			}
		}
		for i, key := range awkward {
			if v, ok, err := kv.Get(ctx, "acme", key); err != nil || !ok || string(v) != fmt.Sprint("v|", i, "\x00") {
				t.Errorf("%q: %q, %t, %v", key, v, ok, err)
			}
			if v, ok, err := kv.Get(ctx, "other", key); err != nil || ok {
				t.Errorf("another tenant reads %q: %q, %v", key, v, err)
			}
		}
		// Whatever the keys, Redis has seen the four of one tenant.
		names, err := b.admin.Keys(ctx, "*").Result()
		slices.Sort(names)
		if want := []string{"cs:kv:{acme}:index", "cs:kv:{acme}:used", "cs:kv:{acme}:values"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("keys of Redis: %q, %v", names, err)
		}
		all, err := kv.List(ctx, "acme", "", "", 1000)
		slices.Sort(awkward)
		if err != nil || !slices.Equal(all, awkward) {
			t.Errorf("list: %q, %v", all, err)
		}
		for _, key := range awkward {
			if err := kv.Delete(ctx, "acme", key); err != nil {
				t.Fatal(err)
			}
		}
		if used, err := b.admin.Get(ctx, "cs:kv:{acme}:used").Result(); err != nil || used != "0" {
			t.Errorf("%s bytes are still charged, %v", used, err)
		}
		if err := kv.Put(ctx, "acme", "empty", nil, 0); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := kv.Get(ctx, "acme", "empty"); err != nil || !ok || len(v) != 0 {
			t.Errorf("empty value: %q, %t, %v", v, ok, err)
		}
	})
}

func TestKVList(t *testing.T) {
	onBoth(t, queuetest.UserKV, func(t *testing.T, c *redisqueue.Client, _ *broker) {
		ctx := t.Context()
		kv := openKV(t, c, redisqueue.KVConfig{})
		var want []string
		for i := range 30 {
			want = append(want, fmt.Sprintf("p/%02d", i))
		}
		for _, key := range append([]string{"o", "p", "p.", "p0", "q", "p/\xff"}, want...) {
			if err := kv.Put(ctx, "acme", key, []byte("v"), 0); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, "p/\xff")
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page, err := kv.List(ctx, "acme", "p/", after, 7)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < 7 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("listed %q", got)
		}
		rows := []struct {
			prefix, after string
			want          []string
		}{
			{"p/2", "p/27", []string{"p/28", "p/29"}},
			{"p/2", "a", want[20:30]},
			{"p/2", "p/3", nil},
			{"\xff", "", nil},
			{"p/\xff", "", []string{"p/\xff"}},
		}
		for _, r := range rows {
			if got, err := kv.List(ctx, "acme", r.prefix, r.after, 100); err != nil || !slices.Equal(got, r.want) {
				t.Errorf("%q after %q: %q, %v", r.prefix, r.after, got, err)
			}
		}
	})
}

func TestKVExpiry(t *testing.T) {
	onBoth(t, queuetest.UserKV, func(t *testing.T, c *redisqueue.Client, b *broker) {
		ctx := t.Context()
		kv := openKV(t, c, redisqueue.KVConfig{Quota: 20000})
		// More than one piece of a scan, so that a page is not taken for the end.
		for i := range 150 {
			if err := kv.Put(ctx, "acme", fmt.Sprintf("brief/%03d", i), []byte("v"), 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range []string{"brief/zz", "long"} {
			if err := kv.Put(ctx, "acme", k, []byte("v"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		queuetest.Eventually(t, "the last has expired", func() bool {
			_, ok, err := kv.Get(ctx, "acme", "brief/149")
			return err == nil && !ok
		})
		if got, err := kv.List(ctx, "acme", "brief/", "", 10); err != nil || !slices.Equal(got, []string{"brief/zz"}) {
			t.Errorf("list: %q, %v", got, err)
		}
		// Their room is there for a write that needs it, and what lasts is kept.
		if err := kv.Put(ctx, "acme", "big", bytes.Repeat([]byte("x"), 19000), 0); err != nil {
			t.Errorf("put: %v", err)
		}
		// It took no more of them than it had to; the writes that follow take the rest, a piece each.
		for range 150/16 + 1 {
			if err := kv.Put(ctx, "acme", "long", []byte("v"), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := b.admin.HLen(ctx, "cs:kv:{acme}:values").Result(); err != nil || n != 3 {
			t.Errorf("%d values are left, %v", n, err)
		}
		// Without a time to live a value is written for good, whatever it had before.
		if err := kv.Put(ctx, "acme", "long", []byte("v"), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := b.admin.ZCard(ctx, "cs:kv:{acme}:expiry").Result(); err != nil || n != 1 {
			t.Errorf("%d are to expire, %v", n, err)
		}
	})
}

func TestKVQuota(t *testing.T) {
	onBoth(t, queuetest.UserKV, func(t *testing.T, c *redisqueue.Client, _ *broker) {
		ctx := t.Context()
		kv := openKV(t, c, redisqueue.KVConfig{Quota: 2000, QuotaOf: func(tenant string) int64 { return map[string]int64{"rich": 1 << 20}[tenant] }})
		big := bytes.Repeat([]byte("x"), 1500)
		over := func(tenant, key string) {
			t.Helper()
			var quota *redisqueue.QuotaError
			if err := kv.Put(ctx, tenant, key, big, 0); !errors.As(err, &quota) || quota.Code() != "kv.quota" || quota.Tenant != tenant {
				t.Errorf("%s/%s: %v, want a *QuotaError", tenant, key, err)
			}
		}
		if err := kv.Put(ctx, "acme", "a", big, 0); err != nil {
			t.Fatal(err)
		}
		over("acme", "b")
		for range 3 { // again in place: charged once
			if err := kv.Put(ctx, "acme", "a", big, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := kv.Put(ctx, "other", "a", big, 0); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		for i := range 20 {
			if err := kv.Put(ctx, "rich", fmt.Sprint(i), big, 0); err != nil {
				t.Errorf("a tenant with more: %v", err)
			}
		}
		if _, ok, _ := kv.Get(ctx, "acme", "b"); ok {
			t.Error("what was refused is there")
		}
		if err := kv.Delete(ctx, "acme", "a"); err != nil {
			t.Fatal(err)
		}
		if err := kv.Put(ctx, "acme", "b", big, 0); err != nil {
			t.Errorf("after room was made: %v", err)
		}
		// Many small keys cost more than their bytes.
		n := 0
		for ; n < 100; n++ {
			if kv.Put(ctx, "tiny", fmt.Sprint(n), nil, 0) != nil {
				break
			}
		}
		if n == 0 || n > 20 {
			t.Errorf("%d empty values fit into 2000 bytes", n)
		}
	})
}

func TestKVRefuses(t *testing.T) {
	b, _ := openMiniWithServer(t)
	kv := openKV(t, b.worker, redisqueue.KVConfig{})
	ctx := t.Context()
	_, _, getErr := kv.Get(ctx, "a}b", "k")
	_, listErr := kv.List(ctx, "acme", "", "", 1001)
	rows := []struct {
		name string
		err  error
	}{
		{"a tenant with a brace", getErr},
		{"a list without bound", listErr},
		{"a tenant that cannot be", kv.Put(ctx, "", "k", nil, 0)},
		{"no key", kv.Put(ctx, "acme", "", nil, 0)},
		{"a long key", kv.Put(ctx, "acme", strings.Repeat("k", 1025), nil, 0)},
		{"a large value", kv.Put(ctx, "acme", "k", make([]byte, 1<<20+1), 0)},
		{"a negative time to live", kv.Put(ctx, "acme", "k", nil, -1)},
		{"less than a millisecond", kv.Put(ctx, "acme", "k", nil, time.Microsecond)},
		{"two hundred years", kv.Put(ctx, "acme", "k", nil, 200*366*24*time.Hour)},
		{"delete without a key", kv.Delete(ctx, "acme", "")},
	}
	for _, r := range rows {
		var field *queue.FieldError
		if !errors.As(r.err, &field) {
			t.Errorf("%s: %v, want a *queue.FieldError", r.name, r.err)
		}
	}
}

func TestBlobs(t *testing.T) {
	onBoth(t, queuetest.UserStore, func(t *testing.T, c *redisqueue.Client, b *broker) {
		ctx := t.Context()
		store, reader := redisqueue.OpenBlobs(c), redisqueue.OpenBlobs(b.worker)
		data := bytes.Repeat([]byte("wasm\x00"), 100_000)
		for range 2 { // the same bytes again are no error
			if err := store.Put(ctx, "module/sha256-ab", data); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Put(ctx, "module/sha256-ab", []byte("other")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("other bytes: %v", err)
		}
		if err := store.Put(ctx, "module/sha256-ab", append(data, 'x')); !errors.Is(err, fs.ErrExist) {
			t.Errorf("longer bytes: %v", err)
		}
		if got, err := reader.Get(ctx, "module/sha256-ab", int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := reader.Get(ctx, "module/sha256-ab", int64(len(data)-1)); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("more than allowed: %v", err)
		}
		if _, err := reader.Get(ctx, "module/sha256-cd", 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("none: %v", err)
		}
		if err := store.Put(ctx, "release/b", []byte("2")); err != nil {
			t.Fatal(err)
		}
		if err := store.Put(ctx, "release/a", []byte("1")); err != nil {
			t.Fatal(err)
		}
		if names, err := reader.List(ctx, "release/", 10); err != nil || !slices.Equal(names, []string{"release/a", "release/b"}) {
			t.Errorf("%q, %v", names, err)
		}
		if names, err := reader.List(ctx, "", 2); err != nil || len(names) != 2 {
			t.Errorf("%q, %v", names, err)
		}
		if err := store.Put(ctx, "", []byte("1")); !errors.As(err, new(*queue.FieldError)) {
			t.Errorf("no name: %v", err)
		}
		if err := store.Put(ctx, "empty", nil); !errors.As(err, new(*queue.FieldError)) {
			t.Errorf("no bytes: %v", err)
		}
	})
}
