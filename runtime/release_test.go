package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// otherModule is the guest with a custom section after its end: other bytes that do the same.
func otherModule() []byte {
	return append(append([]byte(nil), shared.module...), 0, 3, 1, 'x', 1)
}

// TestNewestRelease publishes a second release while the worker runs: it is taken within releaseFresh, by the worker's
// clock, and no sooner is the store asked.
func TestNewestRelease(t *testing.T) {
	w := newWorld(t)
	var c clock
	w.work(c.config)
	run := func(pin envelope.Digest) envelope.Result {
		return w.ended(w.send(client.Task{Input: wish{Mode: "echo"}, Module: pin}))
	}
	first, second := envelope.DigestOf(shared.module), envelope.DigestOf(otherModule())
	if r := run(envelope.Digest{}); r.Module != first {
		t.Errorf("ran %s (%s), want release 1", r.Module, r.Code)
	}
	publish(t, w.store, job(t, "job.run", "", fastRetry, ""), otherModule(), 2, publisherKey)
	asked := w.blobs.asked()
	if r := run(envelope.Digest{}); r.Module != first || w.blobs.asked() != asked {
		t.Errorf("ran %s (%s), and the store was asked %d times", r.Module, r.Code, w.blobs.asked()-asked)
	}
	if r := run(first); r.Status != envelope.StatusDone {
		t.Errorf("the pinned module, while it is the newest that was seen: %+v", r)
	}
	c.forward(3 * time.Second)
	if r := run(envelope.Digest{}); r.Module != second {
		t.Errorf("ran %s (%s), want release 2", r.Module, r.Code)
	}
	if r := run(second); r.Module != second {
		t.Errorf("the pinned newest ran %s (%s)", r.Module, r.Code)
	}
	if r := run(first); r.Code != "release.rollback" {
		t.Errorf("an older module that is pinned: %+v", r)
	}
}

// TestModuleReadOnce: the store is asked again and again which release is the newest, and once for the megabytes of its module, whatever
// tasks are of it.
func TestModuleReadOnce(t *testing.T) {
	w := newWorld(t)
	publish(t, w.store, job(t, "job.other", "", fastRetry, ""), shared.module, 1, publisherKey)
	var c clock
	worker := w.work(c.config)
	for _, task := range []string{"job.run", "job.other", "job.run"} {
		asked := w.blobs.asked()
		if r := w.ended(w.send(client.Task{Name: task, Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
			t.Fatalf("%s: %+v", task, r)
		}
		if w.blobs.asked() == asked {
			t.Errorf("%s: the store was not asked for a release", task)
		}
		c.forward(3 * time.Second)
	}
	asked := w.blobs.asked()
	check(t, worker.UsePolicy(parsePolicy(t)))
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone || w.blobs.asked() == asked {
		t.Errorf("after a change of policy: %+v, and the store was asked %d times", r, w.blobs.asked()-asked)
	}
	w.blobs.mu.Lock()
	defer w.blobs.mu.Unlock()
	if w.blobs.mods != 1 {
		t.Errorf("the module was read %d times", w.blobs.mods)
	}
}

// TestPinsOfNothing sends messages that pin modules of which there is no release: those that there are are read once for all of them.
func TestPinsOfNothing(t *testing.T) {
	w := newWorld(t)
	var c clock
	w.work(c.config)
	for i := range byte(3) {
		asked := w.blobs.asked()
		r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}, Module: envelope.Digest{i, 1}}))
		if r.Code != "release.unknown" {
			t.Errorf("%+v", r)
		}
		if n := w.blobs.asked() - asked; n != 1 && i == 0 || n != 0 && i > 0 {
			t.Errorf("message %d: %d releases were read", i, n)
		}
	}
}

func (b *blobs) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gets
}

func (b *blobs) drop(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.data {
		if strings.Contains(name, part) {
			delete(b.data, name)
		}
	}
}

// TestRollback runs release 2, then lets somebody take it out of the store: release 1 is refused, also by the next
// worker, which has only the file.
func TestRollback(t *testing.T) {
	w := newWorld(t)
	publish(t, w.store, job(t, "job.run", "", fastRetry, ""), otherModule(), 2, publisherKey)
	path := filepath.Join(t.TempDir(), "releases.json")
	withFloor := func(c *runtime.Config) {
		floor, err := runtime.OpenFloor(path)
		check(t, err)
		c.Floor = floor
	}
	first := w.work(withFloor)
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Fatalf("got %+v", r)
	}
	first.stop()
	check(t, first.wait())
	text, err := os.ReadFile(path)
	if err != nil || string(text) != `{"job.run":2}` {
		t.Errorf("the file holds %q, %v", text, err)
	}
	w.blobs.drop("0000000000000002.json")
	w.work(withFloor)
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusRefused || r.Code != "release.rollback" {
		t.Errorf("got %+v", r)
	}
}

// TestTamperedModule changes one byte of the stored module: nothing runs, and the older release is no way out.
func TestTamperedModule(t *testing.T) {
	w := newWorld(t)
	w.blobs.mu.Lock()
	for name, data := range w.blobs.data {
		if strings.HasSuffix(name, ".wasm") {
			data[len(data)-1] ^= 1
		}
	}
	w.blobs.mu.Unlock()
	w.work()
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusRefused || r.Code != "release.digest" {
		t.Errorf("got %+v", r)
	}
}

// TestUnsoundReleaseIsPassedOver stores a newer release by a publisher who may not: the good one runs, and the log
// says what was passed over.
func TestUnsoundReleaseIsPassedOver(t *testing.T) {
	w := newWorld(t)
	publish(t, w.store, job(t, "job.run", "", fastRetry, ""), otherModule(), 7, formerKey)
	worker := w.work()
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Module != envelope.DigestOf(shared.module) {
		t.Errorf("got %+v", r)
	}
	worker.await("stored release passed over", "task", "job.run", "number", 7, "code", "release.publisher")
}

// TestStoreAway takes the module store away: the task is parked, no attempt is counted, and it runs when the store is
// back.
func TestStoreAway(t *testing.T) {
	w := newWorld(t)
	w.blobs.set(true)
	worker := w.work()
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}, Attempts: 1})
	worker.await("module store cannot be used, task put back", "task", "job.run")
	worker.await("task put aside", "task_id", receipt.ID, "code", "parked")
	w.blobs.set(false)
	r := w.ended(receipt)
	if r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("got %+v", r)
	}
	if letters := w.letters(); len(letters) != 0 {
		t.Errorf("dead letters %+v", letters)
	}
}

// TestFloorNotWritten lets the floor say that it is not remembered: the task runs, and the log says so.
func TestFloorNotWritten(t *testing.T) {
	w := newWorld(t)
	worker := w.work(func(c *runtime.Config) { c.Floor = &floor{err: errors.New("disk full")} })
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Errorf("got %+v", r)
	}
	worker.await("release number is not remembered over a restart", "task", "job.run", "error", "disk full")
}

func TestFloorFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "releases.json")
	floor, err := runtime.OpenFloor(path)
	check(t, err)
	if n := floor.Lowest("job.run"); n != 0 {
		t.Errorf("nothing was seen, and the floor is %d", n)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file is there before anything was seen")
	}
	for _, n := range []uint64{3, 2, 3} {
		check(t, floor.Raise("job.run", n))
	}
	check(t, floor.Raise("job.other", 9007199254740991))
	again, err := runtime.OpenFloor(path)
	check(t, err)
	if a, b, none := again.Lowest("job.run"), again.Lowest("job.other"), again.Lowest("none"); a != 3 || b != 9007199254740991 || none != 0 {
		t.Errorf("after a restart: %d, %d, %d", a, b, none)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	check(t, err)
	if len(entries) != 1 {
		t.Errorf("left beside the file: %v", entries)
	}
}

// TestFloorFileIsWrittenLater makes the first write fail: the number counts at once, and the next task writes it.
func TestFloorFileIsWrittenLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "releases.json")
	floor, err := runtime.OpenFloor(path)
	check(t, err)
	if err := floor.Raise("job.run", 4); err == nil {
		t.Fatal("a file was written into a folder that is not there")
	}
	if n := floor.Lowest("job.run"); n != 4 {
		t.Errorf("the floor is %d, want 4 all the same", n)
	}
	check(t, os.Mkdir(dir, 0o700))
	check(t, floor.Raise("job.run", 2))
	again, err := runtime.OpenFloor(path)
	check(t, err)
	if n := again.Lowest("job.run"); n != 4 {
		t.Errorf("after a restart the floor is %d, want 4", n)
	}
}

// TestDamagedFloorFile opens files that are no floor: none is taken for an empty one.
func TestDamagedFloorFile(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "null": "null", "cut off": `{"job.run":2`, "a list": `["job.run"]`, "a negative number": `{"job.run":-1}`,
		"a text": `{"job.run":"2"}`, "more after it": `{"job.run":2}{}`, "too large": "{" + strings.Repeat(" ", 8<<20) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "releases.json")
			check(t, os.WriteFile(path, []byte(text), 0o600))
			if _, err := runtime.OpenFloor(path); err == nil || !strings.HasPrefix(err.Error(), "worker: release floor: ") || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	if _, err := runtime.OpenFloor(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}
