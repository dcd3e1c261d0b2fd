package envelope_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

func TestSignedOrdersOpen(t *testing.T) {
	for name, row := range map[string]struct {
		order envelope.Order
		key   envelope.PrivateKey
	}{
		"least": {leastOrder(), operateKey}, "full": {fullOrder(), operateKey}, "cancel by an operator": {cancelOrder(), operateKey},
		"cancel by a sender": {cancelOrder(), submitKey}, "before": {beforeOrder(), operateKey},
	} {
		b := mustSignOrder(t, row.order, row.key)
		v, err := orderReader.Open(b, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := row.order
		want.Issuer = row.key.Public().ID()
		if v.Order() != want || v.Key() != row.key.Public() || v.Digest() != envelope.DigestOf(b) {
			t.Errorf("%s: got %+v\nwant %+v", name, v.Order(), want)
		}
		if !bytes.Equal(mustSignOrder(t, v.Order(), row.key), b) {
			t.Errorf("%s: signed again it is other bytes", name)
		}
		answer := v.Answer()
		answer.Finished = now
		if mustSignResult(t, answer, workerKey); answer.ID != want.ID || answer.Message != v.Digest() || answer.Task != string(want.Act) {
			t.Errorf("%s: the answer is %+v", name, answer)
		}
	}
}

// Positions of values in the body of an order.
const (
	atOrderID = iota
	atOrderIssuer
	atOrderAudience
	atOrderQueue
	atOrderAct
	atOrderTenant
	atOrderTarget
	atOrderCode
	atOrderIssued
	atOrderExpires
	atOrderNote
)

func orderEdits() []bodyEdit {
	ms := func(d time.Duration) node { return num(uint64(now.Add(d).UnixMilli())) }
	const enc, field = envelope.CodeEncoding, envelope.CodeField
	id := envelope.MessageID(seq(1, 16)).String()
	cancel := func(body node) node {
		return body.with(str("cancel"), atOrderAct).with(str(id), atOrderTarget).with(str(""), atOrderCode)
	}
	pause := func(body node) node {
		return body.with(str("pause"), atOrderAct).with(str(""), atOrderTenant).with(str(""), atOrderTarget).with(str(""), atOrderCode)
	}
	after := func(first func(node) node, value node, at int) func(node) node {
		return func(body node) node { return first(body).with(value, at) }
	}
	more := func(first func(node) node, value node) func(node) node {
		return func(body node) node {
			body = first(body)
			body.items = append(slices.Clone(body.items), value)
			return body
		}
	}
	same := func(body node) node { return body }
	return []bodyEdit{
		{"as it was", same, "ok"},
		{"before", more(same, ms(-time.Hour)), "ok"},
		{"before issued", more(same, ms(-500*time.Millisecond)), "ok"},
		{"before a time after issued", more(same, ms(0)), field},
		{"before zero", more(same, num(0)), enc},
		{"before a string", more(same, str("1")), enc},
		{"pause before", more(pause, ms(-time.Hour)), field},
		{"cancel before", more(cancel, ms(-time.Hour)), field},
		{"two values more", more(more(same, ms(-time.Hour)), null()), enc},
		{"cancel", cancel, "ok"},
		{"pause", pause, "ok"},
		{"one value less", func(b node) node { b.items = b.items[:10]; return b }, enc},
		{"one value more", func(b node) node { b.items = append(b.items, null()); return b }, enc},
		{"no array", func(node) node { return str("pause") }, enc},
		{"id zero", put(bin(make([]byte, 16)), atOrderID), field},
		{"id nil", put(null(), atOrderID), enc},
		{"issuer another", put(bin(keyID(otherKey)), atOrderIssuer), field},
		{"audience of another", put(str("staging"), atOrderAudience), envelope.CodeAudience},
		{"audience empty", put(str(""), atOrderAudience), field},
		{"queue empty", put(str(""), atOrderQueue), field},
		{"queue with colon", put(str("a:b"), atOrderQueue), field},
		{"act empty", put(str(""), atOrderAct), field},
		{"act unknown", put(str("drain"), atOrderAct), field},
		{"act in capitals", put(str("PAUSE"), atOrderAct), field},
		{"act a number", put(num(1), atOrderAct), enc},
		{"act too long", put(str(strings.Repeat("a", 65)), atOrderAct), field},
		{"tenant bidi", put(str("a\u202e"), atOrderTenant), field},
		{"target with a glob", put(str("*"), atOrderTarget), field},
		{"target too long", put(str(strings.Repeat("a", 65)), atOrderTarget), field},
		{"code with a space", put(str("a b"), atOrderCode), field},
		{"issued zero", put(num(0), atOrderIssued), field},
		{"issued nil", put(null(), atOrderIssued), enc},
		{"issued 61 s ahead", put(ms(61*time.Second), atOrderIssued), envelope.CodeNotYet},
		{"expires zero", put(num(0), atOrderExpires), field},
		{"expires 2^63-1", put(num(math.MaxInt64), atOrderExpires), field},
		{"expires with issued", put(ms(-500*time.Millisecond), atOrderExpires), field},
		{"expired", put(ms(0), atOrderExpires), envelope.CodeExpired},
		{"requeue for an hour and a bit", put(ms(time.Hour), atOrderExpires), envelope.CodeTTL},
		{"cancel for 25 h and a bit", after(cancel, ms(25*time.Hour), atOrderExpires), envelope.CodeTTL},
		{"cancel for 24 h", after(cancel, ms(24*time.Hour), atOrderExpires), "ok"},
		{"pause for 30 d and a bit", after(pause, ms(30*24*time.Hour), atOrderExpires), envelope.CodeTTL},
		{"pause for 29 d", after(pause, ms(29*24*time.Hour), atOrderExpires), "ok"},
		{"note with escape", put(str("\x1b[2J"), atOrderNote), field},
		{"note too long", put(str(strings.Repeat("n", envelope.NoteSizeMax+1)), atOrderNote), field},
		{"cancel without tenant", after(cancel, str(""), atOrderTenant), field},
		{"cancel without target", after(cancel, str(""), atOrderTarget), field},
		{"cancel an entry", after(cancel, str("1790000000500-0"), atOrderTarget), field},
		{"cancel the id of zeros", after(cancel, str(strings.Repeat("0", 32)), atOrderTarget), field},
		{"cancel in capitals", after(cancel, str(strings.ToUpper(envelope.MessageID(seq(0xa0, 16)).String())), atOrderTarget), field},
		{"cancel by code", after(cancel, str("policy.denied"), atOrderCode), field},
		{"pause a tenant", after(pause, str("acme"), atOrderTenant), field},
		{"pause a message", after(pause, str(id), atOrderTarget), field},
		{"purge a message", put(str("purge"), atOrderAct), field},
		{"resume by code", after(pause, str("policy.denied"), atOrderCode), field},
	}
}

func TestOrderReaderRefusesBodies(t *testing.T) {
	good := bodyOf(t, mustSignOrder(t, fullOrder(), operateKey))
	for _, row := range orderEdits() {
		t.Run(row.name, func(t *testing.T) {
			b := rawFrame(envelope.OrderType, row.edit(good).bytes(), operateKey).bytes()
			v, err := orderReader.Open(b, now)
			if code(err) != row.code {
				t.Errorf("got %v, want %s", err, row.code)
			}
			if err == nil && !bytes.Equal(mustSignOrder(t, v.Order(), operateKey), b) {
				t.Error("signed again it is other bytes")
			}
			if err != nil && !reflect.DeepEqual(v, envelope.VerifiedOrder{}) {
				t.Errorf("a refused order gives %+v", v)
			}
		})
	}
}

func TestOrderReaderRefusesFrames(t *testing.T) {
	pause, cancel := bodyOf(t, mustSignOrder(t, leastOrder(), operateKey)).bytes(), bodyOf(t, mustSignOrder(t, cancelOrder(), submitKey)).bytes()
	bySender := mustParse(t, pause).with(bin(keyID(submitKey)), atOrderIssuer).bytes()
	good := rawFrame(envelope.OrderType, pause, operateKey)
	for _, row := range []struct {
		name  string
		frame node
		code  string
	}{
		{"as it was", good, "ok"},
		{"cancel by a sender", rawFrame(envelope.OrderType, cancel, submitKey), "ok"},
		{"pause by a sender", rawFrame(envelope.OrderType, bySender, submitKey), envelope.CodeKeyPurpose},
		{"by a worker", rawFrame(envelope.OrderType, pause, workerKey), envelope.CodeKeyPurpose},
		{"by a publisher", rawFrame(envelope.OrderType, pause, publishKey), envelope.CodeKeyPurpose},
		{"by an unknown key", rawFrame(envelope.OrderType, cancel, unknownKey), envelope.CodeKeyUnknown},
		{"forged", good.with(bin(make([]byte, 64)), 3, 0, 1), envelope.CodeSignature},
		{"as a task", rawFrame(envelope.TaskType, pause, operateKey), envelope.CodeType},
		{"a task", mustParse(t, mustSign(t, leastTask(), submitKey)), envelope.CodeType},
		{"in a batch", rawPlace(envelope.OrderType, 0, operateKey, pause, cancel), envelope.CodeUnsupported},
		{"cut", mustParse(t, good.bytes()).with(bin(pause[:9]), 2), envelope.CodeSignature},
	} {
		if _, err := orderReader.Open(row.frame.bytes(), now); code(err) != row.code {
			t.Errorf("%s: got %v, want %s", row.name, err, row.code)
		}
	}
	if _, err := orderReader.Open(make([]byte, envelope.OrderSizeMax+1), now); code(err) != envelope.CodeSize {
		t.Errorf("too long: %v", err)
	}
	if _, err := (envelope.OrderReader{Audience: "prod"}).Open(good.bytes(), now); code(err) != envelope.CodeKeyUnknown {
		t.Errorf("no keyring: %v", err)
	}
	if _, err := (envelope.OrderReader{Keys: keys}).Open(good.bytes(), now); code(err) != envelope.CodeAudience {
		t.Errorf("no audience: %v", err)
	}
	// An order is no task to a reader of tasks, though a submit key signed it.
	if _, err := reader.Open(rawFrame(envelope.OrderType, cancel, submitKey).bytes(), now); code(err) != envelope.CodeType {
		t.Errorf("an order in a lane: %v", err)
	}
}

func TestSignOrderRefuses(t *testing.T) {
	late := leastOrder()
	late.Expires = late.Issued.Add(31 * 24 * time.Hour)
	requeue := fullOrder()
	requeue.Expires = requeue.Issued.Add(2 * time.Hour)
	for name, row := range map[string]struct {
		order envelope.Order
		key   envelope.PrivateKey
		code  string
	}{
		"nothing":           {leastOrder(), operateKey, "ok"},
		"pause by a sender": {leastOrder(), submitKey, envelope.CodeKeyPurpose},
		"by a worker":       {cancelOrder(), workerKey, envelope.CodeKeyPurpose},
		"without a key":     {cancelOrder(), envelope.PrivateKey{}, envelope.CodeKeyPurpose},
		"the zero order":    {envelope.Order{}, operateKey, envelope.CodeField},
		"pause for 31 d":    {late, operateKey, envelope.CodeTTL},
		"requeue for 2 h":   {requeue, operateKey, envelope.CodeTTL},
	} {
		if _, err := envelope.SignOrder(row.order, row.key); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	longest := fullOrder()
	longest.Tenant, longest.Queue, longest.Code = strings.Repeat("t", 64), strings.Repeat("q", 64), strings.Repeat("c", 64)
	longest.Target, longest.Note = strings.Repeat("T", envelope.TargetSizeMax), strings.Repeat("n", envelope.NoteSizeMax)
	if n := len(mustSignOrder(t, longest, operateKey)); n > envelope.OrderSizeMax/2 {
		t.Errorf("an order with every field at its bound is %d bytes", n)
	}
}

// FuzzOpenOrder: as FuzzOpen.
func FuzzOpenOrder(f *testing.F) {
	for _, o := range []envelope.Order{leastOrder(), fullOrder(), cancelOrder(), beforeOrder()} {
		b := mustSignOrder(f, o, operateKey)
		f.Add(b, false)
		for _, row := range orderEdits() {
			f.Add(row.edit(bodyOf(f, b)).bytes(), true)
		}
	}
	for _, bomb := range bombs[:7] {
		f.Add(bomb, false)
		f.Add(bomb, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = rawFrame(envelope.OrderType, b, operateKey).bytes()
		}
		v, err := orderReader.Open(b, now)
		if err != nil {
			if !reflect.DeepEqual(v, envelope.VerifiedOrder{}) || len(code(err)) > 40 {
				t.Errorf("%v gives %+v", err, v)
			}
			return
		}
		key := operateKey
		if v.Key() == submitKey.Public() {
			key = submitKey
		}
		if again := mustSignOrder(t, v.Order(), key); !bytes.Equal(again, b) {
			t.Errorf("%x is also %x", b, again)
		}
	})
}
