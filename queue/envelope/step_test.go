package envelope_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// Positions of what a step has more than a task.
const (
	atPlan = iota + atParent + 1
	atAfter
	atAfterBodies
)

func TestSignedStepsOpen(t *testing.T) {
	many := fullStep()
	for i := range envelope.AfterMax - 2 {
		many.After = append(many.After, envelope.MessageID{0xff, byte(i >> 8), byte(i)})
	}
	for name, task := range map[string]envelope.Task{"first": firstStep(), "last": fullStep(), "bound": boundStep(), "after as many as there may be": many} {
		msg := mustSign(t, task, submitKey)
		v, err := reader.Open(msg, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := task
		want.Issuer = submitKey.Public().ID()
		if want.Payload == nil {
			want.Payload = []byte{}
		}
		if !reflect.DeepEqual(v.Task(), want) {
			t.Errorf("%s: got %+v\nwant %+v", name, v.Task(), want)
		}
		if u := reader.Inspect(msg, now); u.Fault != nil || u.Task.Plan != task.Plan {
			t.Errorf("%s: Inspect says %+v", name, u)
		}
	}
}

func stepEdits() []bodyEdit {
	ids := func(n int) node {
		list := arr()
		for i := range n {
			list.items = append(list.items, bin(append(seq(1, 14), byte(i>>8), byte(i))))
		}
		return list
	}
	more := func(value node) func(node) node {
		return func(b node) node { b.items = append(slices.Clone(b.items), value); return b }
	}
	const enc, field = envelope.CodeEncoding, envelope.CodeField
	return []bodyEdit{
		{"as it was", func(b node) node { return b }, "ok"},
		{"a task's body", func(b node) node { b.items = b.items[:22]; return b }, enc},
		{"one value less", func(b node) node { b.items = b.items[:23]; return b }, enc},
		{"one value more", func(b node) node { b.items = append(b.items, null()); return b }, enc},
		{"bodies", more(arr(bin(seq(1, 32)), bin(seq(2, 32)))), "ok"},
		{"bodies none", more(arr()), enc},
		{"bodies a number", more(num(2)), enc},
		{"bodies fewer", more(arr(bin(seq(1, 32)))), field},
		{"bodies zero", more(arr(bin(seq(1, 32)), bin(make([]byte, 32)))), field},
		{"bodies 31 bytes", more(arr(bin(seq(1, 32)), bin(seq(1, 31)))), enc},
		{"bodies and no after", func(b node) node { return more(arr(bin(seq(1, 32))))(b).with(arr(), atAfter) }, field},
		{"bodies 257", more(ids(envelope.AfterMax + 1)), field},
		{"bodies and one more", func(b node) node {
			b = more(arr(bin(seq(1, 32)), bin(seq(2, 32))))(b)
			b.items = append(b.items, null())
			return b
		}, enc},
		{"plan zero", put(bin(make([]byte, 16)), atPlan), field},
		{"plan nil", put(null(), atPlan), enc},
		{"plan 15 bytes", put(bin(seq(1, 15)), atPlan), enc},
		{"plan a string", put(str("0123456789abcdef"), atPlan), enc},
		{"after nil", put(null(), atAfter), enc},
		{"after a number", put(num(2), atAfter), enc},
		{"after none", put(arr(), atAfter), "ok"},
		{"after 257", put(ids(envelope.AfterMax+1), atAfter), field},
		{"after 256", put(ids(envelope.AfterMax), atAfter), "ok"},
		{"after itself", put(arr(bin(seq(0x10, 16))), atAfter), field},
		{"after one twice", put(arr(bin(seq(1, 16)), bin(seq(2, 16)), bin(seq(1, 16))), atAfter), field},
		{"after zero", put(arr(bin(make([]byte, 16))), atAfter), field},
		{"after 15 bytes", put(arr(bin(seq(1, 15))), atAfter), enc},
		{"after nested", put(arr(arr(bin(seq(1, 16)))), atAfter), enc},
		{"payload beside after", put(bin([]byte("{}")), atPayload), field},
		{"content type beside after", put(str("application/json"), atContentType), field},
		{"tenant in capitals", put(str("ACME"), atTenant), field},
	}
}

func TestOpenRefusesSteps(t *testing.T) {
	good := bodyOf(t, mustSign(t, fullStep(), submitKey))
	for _, row := range stepEdits() {
		t.Run(row.name, func(t *testing.T) {
			msg := rawFrame(envelope.StepType, row.edit(good).bytes(), submitKey).bytes()
			v, err := reader.Open(msg, now)
			if code(err) != row.code {
				t.Fatalf("got %v, want %s", err, row.code)
			}
			if err == nil && !bytes.Equal(mustSign(t, v.Task(), submitKey), msg) {
				t.Error("signed again it is other bytes")
			}
		})
	}
	// A step's body under a task's type, and the other way round.
	if _, err := reader.Open(rawFrame(envelope.TaskType, good.bytes(), submitKey).bytes(), now); code(err) != envelope.CodeEncoding {
		t.Errorf("a step as a task: %v", err)
	}
	task := bodyOf(t, mustSign(t, fullTask(), submitKey))
	if _, err := reader.Open(rawFrame(envelope.StepType, task.bytes(), submitKey).bytes(), now); code(err) != envelope.CodeEncoding {
		t.Errorf("a task as a step: %v", err)
	}
}

// TestBodyDigest holds the hash of a body that is not signed yet against what the opened message says, alone and in a batch.
func TestBodyDigest(t *testing.T) {
	tasks := []envelope.Task{firstStep(), otherID(boundStep(), 9)}
	batch := mustSignBatch(t, tasks, submitKey)
	for i, task := range tasks {
		want, err := envelope.BodyDigest(task, submitKey)
		if err != nil || want.IsZero() {
			t.Fatal(want, err)
		}
		for _, msg := range [][]byte{batch[i], mustSign(t, task, submitKey)} {
			v, err := reader.Open(msg, now)
			if err != nil || v.Body() != want || v.Body() == v.Digest() {
				t.Errorf("got %v, %v, want %v", v.Body(), err, want)
			}
		}
		if other, err := envelope.BodyDigest(task, otherKey); err != nil || other == want {
			t.Errorf("by another key: %v, %v", other, err)
		}
	}
	if v, err := reader.Open(mustSign(t, leastTask(), submitKey), now); err != nil || !v.Body().IsZero() {
		t.Errorf("of no step: %v, %v", v.Body(), err)
	}
	if _, err := envelope.BodyDigest(envelope.Task{}, submitKey); code(err) != envelope.CodeField {
		t.Errorf("of nothing: %v", err)
	}
}

// FuzzOpenPlace: b is what stands for the batch path of a good message in a batch, or the body of a step. What opens is
// the message as it was, or the step's only encoding.
func FuzzOpenPlace(f *testing.F) {
	messages := mustSignBatch(f, tasks(5), submitKey)
	good := mustParse(f, messages[2])
	f.Add(good.at(3).at(0).at(2).bytes(), false)
	for _, msg := range messages {
		f.Add(mustParse(f, msg).at(3).at(0).at(2).bytes(), false)
	}
	step := bodyOf(f, mustSign(f, fullStep(), submitKey))
	f.Add(bodyOf(f, mustSign(f, boundStep(), submitKey)).bytes(), true)
	for _, row := range stepEdits() {
		f.Add(row.edit(step).bytes(), true)
	}
	for _, bomb := range bombs[:7] {
		f.Add(bomb, false)
		f.Add(bomb, true)
	}
	var roots envelope.Roots
	remembering := envelope.Reader{Keys: keys, Audience: "prod", Roots: &roots}
	if _, err := remembering.Open(messages[2], now); err != nil {
		f.Fatal(err)
	}
	tail := len(good.at(3).at(0).at(2).bytes())
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		msg := append(bytes.Clone(messages[2][:len(messages[2])-tail]), b...)
		if sign {
			msg = rawFrame(envelope.StepType, b, submitKey).bytes()
		}
		v, err := remembering.Open(msg, now)
		if _, again := reader.Open(msg, now); code(again) != code(err) {
			t.Errorf("%x: with roots %v, without %v", msg, err, again)
		}
		switch {
		case err != nil:
		case !sign && !bytes.Equal(msg, messages[2]):
			t.Errorf("%x is another place of the same message", b)
		case sign && !bytes.Equal(mustSign(t, v.Task(), submitKey), msg):
			t.Errorf("%x has another encoding", msg)
		}
	})
}
