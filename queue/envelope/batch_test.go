package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// tasks returns n tasks that differ; every third is a step.
func tasks(n int) []envelope.Task {
	list := make([]envelope.Task, n)
	for i := range list {
		list[i] = fullTask()
		if i%3 == 2 {
			list[i] = fullStep()
		}
		binary.BigEndian.PutUint64(list[i].ID[:], uint64(i+1))
	}
	return list
}

func mustSignBatch(t testing.TB, tasks []envelope.Task, key envelope.PrivateKey) [][]byte {
	t.Helper()
	messages, err := envelope.SignBatch(tasks, key)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// results returns n results that differ.
func results(n int) []envelope.Result {
	list := make([]envelope.Result, n)
	for i := range list {
		list[i] = fullResult()
		binary.BigEndian.PutUint64(list[i].ID[:], uint64(i+1))
	}
	return list
}

func mustSignResults(t testing.TB, results []envelope.Result, key envelope.PrivateKey) [][]byte {
	t.Helper()
	signed, err := envelope.SignResults(results, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// miniRoot is RFC 6962, section 2.1, as it stands there: by recursion over the list of leaves.
func miniRoot(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		sum := sha256.Sum256(append([]byte{0}, leaves[0]...))
		return sum[:]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	b := append([]byte{1}, miniRoot(leaves[:k])...)
	sum := sha256.Sum256(append(b, miniRoot(leaves[k:])...))
	return sum[:]
}

// miniPath is RFC 6962, section 2.1.1, likewise.
func miniPath(m int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	if m < k {
		return append(miniPath(m, leaves[:k]), miniRoot(leaves[k:]))
	}
	return append(miniPath(m-k, leaves[k:]), miniRoot(leaves[:k]))
}

// rawPlace signs a tree of bodies of one type, and returns the frame of the one at index: what a hostile holder of a key
// can do, and an independent writer of batches.
func rawPlace(typ string, index int, key envelope.PrivateKey, bodies ...[]byte) node {
	leaves := make([][]byte, len(bodies))
	for i, body := range bodies {
		leaves[i] = miniPAE(typ, body)
	}
	root := append(binary.BigEndian.AppendUint64(nil, uint64(len(bodies))), miniRoot(leaves)...)
	hashes := arr()
	for _, h := range miniPath(index, leaves) {
		hashes.items = append(hashes.items, bin(h))
	}
	place := arr(num(uint64(len(bodies))), num(uint64(index)), hashes)
	return rawFrame(typ, bodies[index], key).
		with(bin(key.Sign("application/vnd.caisson.batch.v1", root)), 3, 0, 1).with(place, 3, 0, 2)
}

// Every message of every small batch, and some of large ones, opens as what it was signed as, is what the independent
// writer gives, and needs no other message of its batch.
func TestSignedBatchesOpen(t *testing.T) {
	var roots envelope.Roots
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33, 300} {
		list := tasks(n)
		messages := mustSignBatch(t, list, submitKey)
		if len(messages) != n {
			t.Fatalf("%d messages of %d tasks", len(messages), n)
		}
		if again := mustSignBatch(t, list, submitKey); !reflect.DeepEqual(again, messages) {
			t.Errorf("%d: signed again it is other bytes", n)
		}
		for i, msg := range messages {
			for _, r := range []envelope.Reader{reader, {Keys: keys, Audience: "prod", Roots: &roots}} {
				v, err := r.Open(msg, now)
				if err != nil {
					t.Fatalf("%d of %d: %v", i, n, err)
				}
				want := list[i]
				want.Issuer = submitKey.Public().ID()
				if want.Payload == nil {
					want.Payload = []byte{}
				}
				if !reflect.DeepEqual(v.Task(), want) || v.Key() != submitKey.Public() || v.Digest() != envelope.DigestOf(msg) {
					t.Fatalf("%d of %d: got %+v\nwant %+v", i, n, v.Task(), want)
				}
			}
		}
	}
}

func TestBatchesAreThoseOfTheRFC(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 31, 33} {
		list := tasks(n)
		bodies := make([][]byte, n)
		for i := range list {
			list[i].Plan, list[i].After = envelope.MessageID{}, nil // one type, as rawPlace has it
			bodies[i] = bodyOf(t, mustSign(t, list[i], submitKey)).bytes()
		}
		for i, msg := range mustSignBatch(t, list, submitKey) {
			if want := rawPlace(envelope.TaskType, i, submitKey, bodies...).bytes(); !bytes.Equal(msg, want) {
				t.Fatalf("%d of %d: %x\nwant %x", i, n, msg, want)
			}
		}
	}
}

func TestSignedResultBatchesOpen(t *testing.T) {
	var roots envelope.Roots
	for _, n := range []int{1, 2, 3, 7, 64} {
		list := results(n)
		for i, b := range mustSignResults(t, list, workerKey) {
			for _, r := range []envelope.ResultReader{{Keys: keys}, {Keys: keys, Roots: &roots}} {
				got, err := r.Open(b)
				want := list[i]
				want.Worker = workerKey.Public().ID()
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("%d of %d: %v, %+v", i, n, err, got)
				}
			}
		}
	}
}

// A batch of one is the message signed alone: there is one form for it.
func TestOneIsNoBatch(t *testing.T) {
	if got := mustSignBatch(t, []envelope.Task{fullTask()}, submitKey); !bytes.Equal(got[0], mustSign(t, fullTask(), submitKey)) {
		t.Error("a batch of one task is another message than the task alone")
	}
	if got := mustSignResults(t, []envelope.Result{fullResult()}, workerKey); !bytes.Equal(got[0], mustSignResult(t, fullResult(), workerKey)) {
		t.Error("a batch of one result is other bytes than the result alone")
	}
	if got, err := envelope.SignBatch(nil, submitKey); err != nil || len(got) != 0 {
		t.Errorf("a batch of none: %d messages, %v", len(got), err)
	}
}

func TestSignBatchRefuses(t *testing.T) {
	bad := tasks(3)
	bad[1].Queue = "NO"
	twice := tasks(3)
	twice[2].ID = twice[0].ID
	for name, row := range map[string]struct {
		tasks []envelope.Task
		key   envelope.PrivateKey
		code  string
	}{
		"a bad task":          {bad, submitKey, envelope.CodeField},
		"an id twice":         {twice, submitKey, envelope.CodeField},
		"too many":            {make([]envelope.Task, envelope.BatchMax+1), submitKey, envelope.CodeField},
		"a worker's key":      {tasks(2), workerKey, envelope.CodeKeyPurpose},
		"no key":              {tasks(2), envelope.PrivateKey{}, envelope.CodeKeyPurpose},
		"no task and no key":  {nil, envelope.PrivateKey{}, envelope.CodeKeyPurpose},
		"nothing wrong":       {tasks(3), submitKey, "ok"},
		"one task, bad":       {bad[1:2], submitKey, envelope.CodeField},
		"one task, wrong key": {tasks(1), publishKey, envelope.CodeKeyPurpose},
	} {
		messages, err := envelope.SignBatch(row.tasks, row.key)
		if code(err) != row.code || err != nil && messages != nil {
			t.Errorf("%s: %v, %d messages", name, err, len(messages))
		}
	}
	_, err := envelope.SignBatch(append(bad, envelope.Task{}), submitKey)
	var first *envelope.BatchError
	if !errors.As(err, &first) || first.Index != 1 || len(err.(interface{ Unwrap() []error }).Unwrap()) != 2 {
		t.Errorf("not every bad task is named: %v", err)
	}
	if bad[0].Issuer != (envelope.KeyID{}) {
		t.Error("signing changes the caller's tasks")
	}
	if _, err := envelope.SignResults(results(2), submitKey); code(err) != envelope.CodeKeyPurpose {
		t.Errorf("results signed with a submit key: %v", err)
	}
	faulty := results(2)
	faulty[1].Task = ""
	if _, err := envelope.SignResults(faulty, workerKey); code(err) != envelope.CodeField {
		t.Errorf("a bad result in a batch: %v", err)
	}
}

// What a hostile holder of a key, or of messages alone, may try with a place in a tree.
func TestOpenRefusesPlaces(t *testing.T) {
	var bodies [][]byte
	for _, task := range tasks(5) {
		task.Plan, task.After = envelope.MessageID{}, nil
		bodies = append(bodies, bodyOf(t, mustSign(t, task, submitKey)).bytes())
	}
	at := func(index int) node { return rawPlace(envelope.TaskType, index, submitKey, bodies...) }
	good, last := at(1), at(4)
	place := []int{3, 0, 2}
	edit := func(f node, value node, path ...int) node { return f.with(value, append([]int{3, 0, 2}, path...)...) }
	hash := func(i int) node { return good.at(3).at(0).at(2).at(2).at(i) }
	leaf := func(body []byte) node {
		sum := sha256.Sum256(append([]byte{0}, miniPAE(envelope.TaskType, body)...))
		return bin(sum[:])
	}
	alone := mustParse(t, mustSign(t, tasks(1)[0], submitKey))
	one := rawPlace(envelope.TaskType, 0, submitKey, bodies[0])
	// The root's body as a message's, and a message's body signed as if it were a root's.
	root := append(binary.BigEndian.AppendUint64(nil, 2), seq(1, 32)...)
	rootAsBody := rawFrame(envelope.TaskType, root, submitKey)
	bodyAsRoot := alone.with(bin(submitKey.Sign("application/vnd.caisson.batch.v1", alone.at(2).data)), 3, 0, 1)
	const enc, sig = envelope.CodeEncoding, envelope.CodeSignature
	rows := []struct {
		name  string
		frame node
		code  string
	}{
		{"as it was", good, "ok"},
		{"the last of an odd number", last, "ok"},
		{"size 0", edit(good, num(0), 0), enc},
		{"size 1", edit(good, num(1), 0), enc},
		{"size 1 and index 0", edit(edit(good, num(1), 0), num(0), 1), enc},
		{"a tree of one", one, enc},
		{"a lone message with a path", alone.with(arr(num(2), num(0), arr(bin(seq(1, 32)))), place...), sig},
		{"a batched message without its path", good.with(null(), place...), sig},
		{"size above", edit(good, num(6), 0), sig},
		{"size below", edit(good, num(4), 0), enc},
		{"size above the most", edit(good, num(envelope.BatchMax+1), 0), enc},
		{"size 2^63-1", edit(good, num(math.MaxInt64), 0), enc},
		{"size nil", edit(good, null(), 0), enc},
		{"size a string", edit(good, str("5"), 0), enc},
		{"index of another", edit(good, num(0), 1), sig},
		{"index of its sibling's sibling", edit(good, num(3), 1), sig},
		{"index of another length", edit(good, num(4), 1), enc},
		{"index is size", edit(good, num(5), 1), enc},
		{"index 2^63-1", edit(good, num(math.MaxInt64), 1), enc},
		{"index nil", edit(good, null(), 1), enc},
		{"one hash less", edit(good, arr(hash(0), hash(1)), 2), enc},
		{"one hash more", edit(good, arr(hash(0), hash(1), hash(2), hash(2)), 2), enc},
		{"no hashes", edit(good, arr(), 2), enc},
		{"hashes nil", edit(good, null(), 2), enc},
		{"hashes as bytes", edit(good, bin(seq(1, 96)), 2), enc},
		{"a hash of 31", edit(good, bin(seq(1, 31)), 2, 0), enc},
		{"a hash of 33", edit(good, bin(seq(1, 33)), 2, 0), enc},
		{"a hash as string", edit(good, str("01234567890123456789012345678901"), 2, 0), enc},
		{"a hash nil", edit(good, null(), 2, 0), enc},
		{"hashes swapped", edit(good, arr(hash(1), hash(0), hash(2)), 2), sig},
		{"a hash changed", edit(good, bin(seq(1, 32)), 2, 2), sig},
		{"path of two", good.with(arr(num(5), num(1)), place...), enc},
		{"path of four", good.with(arr(num(5), num(1), arr(), null()), place...), enc},
		{"path empty", good.with(arr(), place...), enc},
		{"path a number", good.with(num(5), place...), enc},
		{"body of another leaf", good.with(bin(bodies[2]), 2), sig},
		{"body of no leaf", good.with(bin(alone.at(2).data), 2), sig},
		{"signature of a message alone", good.with(alone.at(3).at(0).at(1), 3, 0, 1), sig},
		{"signature zero", good.with(bin(make([]byte, 64)), 3, 0, 1), sig},
		{"another known key's id", good.with(bin(keyID(otherKey)), 3, 0, 0), sig},
		{"another known key's signature", good.with(rawPlace(envelope.TaskType, 1, otherKey, bodies...).at(3).at(0).at(1), 3, 0, 1), sig},
		{"a publisher's tree", rawPlace(envelope.TaskType, 1, publishKey, bodies...), envelope.CodeKeyPurpose},
		{"an unknown key's tree", rawPlace(envelope.TaskType, 1, unknownKey, bodies...), envelope.CodeKeyUnknown},
		{"an inner node as a leaf", edit(edit(good.with(bin(append(leaf(bodies[0]).data, leaf(bodies[1]).data...)), 2), arr(hash(1), hash(2)), 2), num(3), 0), sig},
		{"a tree of results' leaves", rawPlace(envelope.ResultType, 1, submitKey, bodies...).with(str(envelope.TaskType), 1), sig},
		{"a tree of steps' leaves", rawPlace(envelope.StepType, 1, submitKey, bodies...).with(str(envelope.TaskType), 1), sig},
		{"a task's leaf as a step's", good.with(str(envelope.StepType), 1), sig},
		{"a root as a message's body", rootAsBody, enc},
		{"a message's body as a root", bodyAsRoot, sig},
		{"the batch type as a message", rawFrame("application/vnd.caisson.batch.v1", root, submitKey), envelope.CodeType},
	}
	var roots envelope.Roots
	remembering := envelope.Reader{Keys: keys, Audience: "prod", Roots: &roots}
	if _, err := remembering.Open(good.bytes(), now); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for name, r := range map[string]envelope.Reader{"without": reader, "with": remembering} {
				if _, err := r.Open(row.frame.bytes(), now); code(err) != row.code {
					t.Errorf("%s roots: got %v, want %s", name, err, row.code)
				}
			}
		})
	}
}

// The same leaf twice: each place opens, as the same task; the digests differ, so that a queue sees a conflict.
func TestDuplicateLeaves(t *testing.T) {
	body := bodyOf(t, mustSign(t, fullTask(), submitKey)).bytes()
	a, b := rawPlace(envelope.TaskType, 0, submitKey, body, body), rawPlace(envelope.TaskType, 1, submitKey, body, body)
	va, err1 := reader.Open(a.bytes(), now)
	vb, err2 := reader.Open(b.bytes(), now)
	if err1 != nil || err2 != nil || !reflect.DeepEqual(va.Task(), vb.Task()) || va.Digest() == vb.Digest() {
		t.Errorf("%v, %v", err1, err2)
	}
}

// Of each byte one bit, another one from byte to byte; every bit of a lone message is turned in TestEveryBitMatters.
func TestEveryByteOfABatchMatters(t *testing.T) {
	var roots envelope.Roots
	remembering := envelope.Reader{Keys: keys, Audience: "prod", Roots: &roots}
	msg := mustSignBatch(t, tasks(5), submitKey)[2]
	signed := mustSignResults(t, results(3), workerKey)[1]
	if _, err := remembering.Open(msg, now); err != nil {
		t.Fatal(err)
	}
	if _, err := (envelope.ResultReader{Keys: keys, Roots: &roots}).Open(signed); err != nil {
		t.Fatal(err)
	}
	for at := range msg {
		b := bytes.Clone(msg)
		b[at] ^= 1 << (at % 8)
		if _, err := remembering.Open(b, now); err == nil {
			t.Errorf("a step with bit %d of byte %d turned opens", at%8, at)
		}
	}
	for at := range signed {
		b := bytes.Clone(signed)
		b[at] ^= 1 << (at % 8)
		if _, err := (envelope.ResultReader{Keys: keys, Roots: &roots}).Open(b); err == nil {
			t.Errorf("a result with bit %d of byte %d turned opens", at%8, at)
		}
	}
	for n := range msg {
		if _, err := remembering.Open(msg[:n], now); code(err) != envelope.CodeEncoding {
			t.Errorf("the first %d bytes of a step: %v", n, err)
		}
	}
	for at := range msg {
		if why := harmless(t, allocatedMax, bombed(msg, at, bombs)...); why != "" {
			t.Fatalf("at %d: %s", at, why)
		}
	}
	longer(mustParse(t, msg), func(b []byte) {
		if _, err := remembering.Open(b, now); code(err) != envelope.CodeEncoding {
			t.Errorf("frame %x…: %v", b[:min(8, len(b))], err)
		}
	})
}

// A key that is no longer known, or is known for something else, gains nothing by what was remembered of it.
func TestRootsDoNotOutliveKeys(t *testing.T) {
	var roots envelope.Roots
	known := ringOf(submitKey.Public(), workerKey.Public())
	r := envelope.Reader{Keys: known, Audience: "prod", Roots: &roots}
	messages := mustSignBatch(t, tasks(3), submitKey)
	if _, err := r.Open(messages[0], now); err != nil {
		t.Fatal(err)
	}
	delete(known, submitKey.Public().ID())
	if _, err := r.Open(messages[1], now); code(err) != envelope.CodeKeyUnknown {
		t.Errorf("a removed key: %v", err)
	}
	r.Keys = lying{otherKey.Public()}
	if _, err := r.Open(messages[1], now); code(err) != envelope.CodeKeyUnknown {
		t.Errorf("another key under its name: %v", err)
	}
	// The same 32 bytes as a worker's key are another key.
	same := testKey(envelope.Worker, 1)
	signed := mustSignResults(t, results(2), same)
	opened := envelope.ResultReader{Keys: ringOf(submitKey.Public()), Roots: &roots}
	if _, err := opened.Open(signed[0]); code(err) != envelope.CodeKeyUnknown {
		t.Errorf("the same bytes as a worker's key: %v", err)
	}
	// A worker's root is not a sender's, though both may be remembered in one place.
	opened.Keys = ringOf(same.Public())
	if _, err := opened.Open(signed[0]); err != nil {
		t.Fatal(err)
	}
	r.Keys = ringOf(same.Public())
	asTask := mustParse(t, signed[1]).with(str(envelope.TaskType), 1)
	if _, err := r.Open(asTask.bytes(), now); code(err) != envelope.CodeKeyPurpose {
		t.Errorf("a result's root used for a task: %v", err)
	}
}

// One Roots serves any number of readers at once, of good messages and of forged ones.
func TestRootsAtOnce(t *testing.T) {
	var roots envelope.Roots
	var batches [][][]byte
	for n := range 8 {
		batches = append(batches, mustSignBatch(t, tasks(16+n), submitKey))
	}
	forged := mustParse(t, batches[0][3]).with(bin(make([]byte, 64)), 3, 0, 1).bytes()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			r := envelope.Reader{Keys: keys, Audience: "prod", Roots: &roots}
			for _, messages := range batches {
				for _, msg := range messages {
					if _, err := r.Open(msg, now); err != nil {
						t.Error(err)
					}
				}
				if _, err := r.Open(forged, now); code(err) != envelope.CodeSignature {
					t.Errorf("forged: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := envelope.RootsSize(&roots); n != len(batches) {
		t.Errorf("%d roots of %d batches", n, len(batches))
	}
}

func TestRootsAreBounded(t *testing.T) {
	var roots envelope.Roots
	r := envelope.Reader{Keys: keys, Audience: "prod", Roots: &roots}
	if _, err := r.Open(mustSignBatch(t, tasks(2), submitKey)[0], now); err != nil {
		t.Fatal(err)
	}
	if n := envelope.RootsSize(&roots); n != 1 {
		t.Errorf("%d roots of one batch are remembered", n)
	}
	forged := mustParse(t, mustSignBatch(t, tasks(3), submitKey)[0]).with(bin(make([]byte, 64)), 3, 0, 1)
	if _, err := r.Open(forged.bytes(), now); code(err) != envelope.CodeSignature {
		t.Fatal(err)
	}
	if n := envelope.RootsSize(&roots); n != 1 {
		t.Error("a root whose signature did not hold is remembered")
	}
	for i := range 3 * envelope.RootsMax {
		envelope.RememberRoot(&roots, submitKey.Public(), i)
		if n := envelope.RootsSize(&roots); n > envelope.RootsMax {
			t.Fatalf("%d roots are remembered", n)
		}
		if !envelope.HasRoot(&roots, submitKey.Public(), i) || i > 100 && !envelope.HasRoot(&roots, submitKey.Public(), 7) {
			t.Fatalf("a root in use is forgotten after %d others", i)
		}
	}
	if envelope.HasRoot(&roots, submitKey.Public(), 8) {
		t.Error("a root that nobody asks for is kept for ever")
	}
}
