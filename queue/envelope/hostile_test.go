package envelope_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// allocatedMax is what refusing the hostile messages of one offset may allocate together, in bytes.
const allocatedMax = 64 << 10

var bombs = [][]byte{
	{0xdd, 0xff, 0xff, 0xff, 0xff},                         // array of 2^32-1
	{0xdf, 0xff, 0xff, 0xff, 0xff},                         // map of 2^32-1
	{0xc6, 0xff, 0xff, 0xff, 0xff},                         // 4 GiB of bytes
	{0xdb, 0xff, 0xff, 0xff, 0xff},                         // 4 GiB of string
	{0xc9, 0xff, 0xff, 0xff, 0xff},                         // extension of 4 GiB
	{0xdc, 0xff, 0xff},                                     // array of 65,535
	{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // 2^64-1
	bytes.Repeat([]byte{0x91}, 200_000),
}

// harmless opens each of messages as a task and as a result, and says what is wrong if that allocates too much in all, or if
// one opens though it is not the encoding of what it says. (A bomb that happens to lie within an id is data like any other.)
func harmless(t *testing.T, sizeMax uint64, messages ...[]byte) string {
	verified := make([]envelope.Verified, len(messages))
	errs := make([][2]error, len(messages))
	n := allocated(func() {
		for i, b := range messages {
			verified[i], errs[i][0] = reader.Open(b, now)
			_, errs[i][1] = envelope.OpenResult(b, keys)
		}
	})
	if n > sizeMax {
		return fmt.Sprintf("%d bytes are allocated", n)
	}
	for i, b := range messages {
		if errs[i][1] == nil || errs[i][0] == nil && !bytes.Equal(mustSign(t, verified[i].Task(), submitKey), b) {
			return fmt.Sprintf("it opens: %x", b[:min(len(b), 500)])
		}
	}
	return ""
}

// bombed returns b with each of bombs in place of what stands at an offset, and put in before it.
func bombed(b []byte, at int, bombs [][]byte) (messages [][]byte) {
	for _, bomb := range bombs {
		over := append(bytes.Clone(b[:at]), bomb...)
		messages = append(messages, over, append(bytes.Clone(over), b[at:]...))
	}
	return messages
}

func TestBombsInFrames(t *testing.T) {
	for _, msg := range [][]byte{mustSign(t, fullTask(), submitKey), mustSignResult(t, fullResult(), workerKey)} {
		for at := range msg {
			if why := harmless(t, allocatedMax, bombed(msg, at, bombs)...); why != "" {
				t.Fatalf("at %d: %s", at, why)
			}
		}
	}
}

// The same in a body that is then signed: a hostile holder of a good key.
func TestBombsInSignedBodies(t *testing.T) {
	for _, row := range []struct {
		typ  string
		body []byte
		key  envelope.PrivateKey
	}{
		{envelope.TaskType, bodyOf(t, mustSign(t, fullTask(), submitKey)).bytes(), submitKey},
		{envelope.ResultType, bodyOf(t, mustSignResult(t, fullResult(), workerKey)).bytes(), workerKey},
	} {
		for at := range row.body {
			messages := bombed(row.body, at, bombs[:len(bombs)-1])
			for i, body := range messages {
				messages[i] = rawFrame(row.typ, body, row.key).bytes()
			}
			if why := harmless(t, allocatedMax, messages...); why != "" {
				t.Fatalf("at %d: %s", at, why)
			}
		}
		// A long body is copied for the PAE and to compare its frame; more than a few times its length is growth.
		nested := rawFrame(row.typ, bytes.Repeat([]byte{0x91}, 200_000), row.key).bytes()
		if why := harmless(t, 4*200_000, nested); why != "" {
			t.Errorf("nested body: %s", why)
		}
	}
}

func TestTooLongIsRefusedUnread(t *testing.T) {
	for name, b := range map[string][]byte{
		"one byte too long":   append(mustSign(t, largestTask(), submitKey), make([]byte, envelope.MessageSizeMax)...),
		"a million of nested": bytes.Repeat([]byte{0x91}, 1_000_000),
		"16 MiB of zeros":     make([]byte, 16<<20),
	} {
		var err error
		if n := allocated(func() { _, err = reader.Open(b, now) }); n > allocatedMax || code(err) != envelope.CodeSize {
			t.Errorf("%s: %v, %d bytes are allocated", name, err, n)
		}
	}
}

func TestTruncationAtEveryOffset(t *testing.T) {
	task, result := mustSign(t, fullTask(), submitKey), mustSignResult(t, fullResult(), workerKey)
	for n := range task {
		if _, err := reader.Open(task[:n], now); code(err) != envelope.CodeEncoding {
			t.Errorf("the first %d bytes of a task: %v", n, err)
		}
	}
	for n := range result {
		if _, err := envelope.OpenResult(result[:n], keys); code(err) != envelope.CodeEncoding {
			t.Errorf("the first %d bytes of a result: %v", n, err)
		}
	}
	// A body cut off and signed again.
	body := bodyOf(t, task).bytes()
	for n := range body {
		if _, err := reader.Open(rawFrame(envelope.TaskType, body[:n], submitKey).bytes(), now); code(err) != envelope.CodeEncoding {
			t.Errorf("the first %d bytes of a body: %v", n, err)
		}
	}
}

func TestEveryBitMatters(t *testing.T) {
	task, result := mustSign(t, fullTask(), submitKey), mustSignResult(t, fullResult(), workerKey)
	for at := range task {
		for bit := range 8 {
			b := bytes.Clone(task)
			b[at] ^= 1 << bit
			if _, err := reader.Open(b, now); err == nil {
				t.Errorf("a task with bit %d of byte %d turned opens", bit, at)
			}
		}
	}
	for at := range result {
		for bit := range 8 {
			b := bytes.Clone(result)
			b[at] ^= 1 << bit
			if _, err := envelope.OpenResult(b, keys); err == nil {
				t.Errorf("a result with bit %d of byte %d turned opens", bit, at)
			}
		}
	}
}

// Flip every bit of a body and sign it again: either it is refused, or it is a task that says something else and
// whose own encoding these bytes are.
func TestSignedBodiesHaveOneEncoding(t *testing.T) {
	good := mustSign(t, fullTask(), submitKey)
	goodBody := bodyOf(t, good).bytes()
	seen := map[string]bool{}
	for at := range goodBody {
		for bit := range 8 {
			body := bytes.Clone(goodBody)
			body[at] ^= 1 << bit
			msg := rawFrame(envelope.TaskType, body, submitKey).bytes()
			v, err := reader.Open(msg, now)
			if err != nil {
				continue
			}
			if !bytes.Equal(mustSign(t, v.Task(), submitKey), msg) {
				t.Errorf("bit %d of byte %d: two encodings of one task", bit, at)
			}
			seen[fmt.Sprintf("%+v", v.Task())] = true
			want := fullTask()
			want.Issuer = submitKey.Public().ID()
			if reflect.DeepEqual(v.Task(), want) {
				t.Errorf("bit %d of byte %d changes nothing", bit, at)
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d tasks opened: this test looks at nothing", len(seen))
	}
}

func TestTrailingBytes(t *testing.T) {
	task, result := mustSign(t, fullTask(), submitKey), mustSignResult(t, fullResult(), workerKey)
	for _, tail := range [][]byte{{0}, {0xc0}, {0xff}, task} {
		if _, err := reader.Open(append(bytes.Clone(task), tail...), now); code(err) != envelope.CodeEncoding {
			t.Errorf("%d bytes after a task: %v", len(tail), err)
		}
		if _, err := envelope.OpenResult(append(bytes.Clone(result), tail...), keys); code(err) != envelope.CodeEncoding {
			t.Errorf("%d bytes after a result: %v", len(tail), err)
		}
		body := append(bodyOf(t, task).bytes(), tail...)
		if _, err := reader.Open(rawFrame(envelope.TaskType, body, submitKey).bytes(), now); code(err) != envelope.CodeEncoding {
			t.Errorf("%d bytes after a body: %v", len(tail), err)
		}
	}
}

// Each value of frame and body in each of its longer forms.
func TestLongerFormsAreRefused(t *testing.T) {
	task := mustSign(t, fullTask(), submitKey)
	frame, body := mustParse(t, task), bodyOf(t, task)
	n := 0
	longer(frame, func(b []byte) {
		n++
		if _, err := reader.Open(b, now); code(err) != envelope.CodeEncoding {
			t.Errorf("frame %x…: %v", b[:min(8, len(b))], err)
		}
	})
	longer(body, func(b []byte) {
		n++
		if _, err := reader.Open(rawFrame(envelope.TaskType, b, submitKey).bytes(), now); code(err) != envelope.CodeEncoding {
			t.Errorf("body %x…: %v", b[:min(8, len(b))], err)
		}
	})
	if n < 60 {
		t.Errorf("only %d longer forms were tried", n)
	}
}

// longer calls f with the bytes of v, each time with one value of it in a longer form.
func longer(v node, f func([]byte)) {
	for _, head := range longerHeads(v) {
		b := append(head, v.data...)
		for _, item := range v.items {
			b = append(b, item.bytes()...)
		}
		f(b)
	}
	for i, item := range v.items {
		before := v.head()
		for _, sibling := range v.items[:i] {
			before = append(before, sibling.bytes()...)
		}
		var after []byte
		for _, sibling := range v.items[i+1:] {
			after = append(after, sibling.bytes()...)
		}
		longer(item, func(b []byte) { f(bytes.Join([][]byte{before, b, after}, nil)) })
	}
}

func longerHeads(v node) (heads [][]byte) {
	forms := map[byte]string{'i': "\xcc\xcd\xce\xcf", 's': "\xd9\xda\xdb", 'b': "\xc4\xc5\xc6", 'a': "\x00\xdc\xdd"}[v.kind]
	n := v.n
	if v.kind == 's' || v.kind == 'b' {
		n = uint64(len(v.data))
	} else if v.kind == 'a' {
		n = uint64(len(v.items))
	}
	for i := range len(forms) {
		size := 1 << i
		if forms[i] == 0 || size < 8 && n>>(8*size) != 0 {
			continue
		}
		head := []byte{forms[i]}
		for shift := size - 1; shift >= 0; shift-- {
			head = append(head, byte(n>>(8*shift)))
		}
		if !bytes.Equal(head, v.head()) {
			heads = append(heads, head)
		}
	}
	return heads
}

// FuzzOpen: nothing makes Open or Inspect panic; whatever opens is, signed again, the same bytes. With sign, the input
// is a body, signed by a good key, so that the fuzzer gets past the signature.
func FuzzOpen(f *testing.F) {
	for _, task := range []envelope.Task{leastTask(), fullTask()} {
		msg := mustSign(f, task, submitKey)
		body := bodyOf(f, msg)
		f.Add(msg, false)
		f.Add(body.bytes(), true)
		for _, row := range bodyEdits() {
			f.Add(row.edit(body).bytes(), true)
		}
	}
	for _, bomb := range bombs[:7] {
		f.Add(bomb, false)
		f.Add(bomb, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = rawFrame(envelope.TaskType, b, submitKey).bytes()
		}
		u := reader.Inspect(b, now)
		v, err := reader.Open(b, now)
		if code(err) != code(u.Fault) || len(code(err)) > 40 {
			t.Errorf("Open says %v, Inspect %v", err, u.Fault)
		}
		if err != nil {
			if !v.Key().IsZero() || !v.Digest().IsZero() {
				t.Errorf("a refused message gives something: %+v", v)
			}
			return
		}
		if v.Key() != submitKey.Public() {
			t.Fatalf("a signature by a key that never signed this: %x", b)
		}
		if again := mustSign(t, v.Task(), submitKey); !bytes.Equal(again, b) {
			t.Errorf("%x is also %x", b, again)
		}
	})
}

// FuzzOpenResult: as FuzzOpen.
func FuzzOpenResult(f *testing.F) {
	for _, r := range []envelope.Result{leastResult(), fullResult(), stepResult()} {
		b := mustSignResult(f, r, workerKey)
		f.Add(b, false)
		f.Add(bodyOf(f, b).bytes(), true)
	}
	for _, bomb := range bombs[:7] {
		f.Add(bomb, false)
		f.Add(bomb, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = rawFrame(envelope.ResultType, b, workerKey).bytes()
		}
		r, err := envelope.OpenResult(b, keys)
		if err != nil {
			if !reflect.DeepEqual(r, envelope.Result{}) || len(code(err)) > 40 {
				t.Errorf("%v gives %+v", err, r)
			}
			return
		}
		if again := mustSignResult(t, r, workerKey); !bytes.Equal(again, b) {
			t.Errorf("%x is also %x", b, again)
		}
	})
}
