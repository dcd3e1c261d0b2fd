package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// now is the instant that the tests read at; the sample task was issued half a second before.
var now = time.UnixMilli(1_790_000_000_500).UTC()

// testKey returns the key of a purpose whose seed is 32 times the byte n.
func testKey(p envelope.Purpose, n byte) envelope.PrivateKey {
	key, err := envelope.GenerateKey(p, bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	submitKey  = testKey(envelope.Submit, 1)
	workerKey  = testKey(envelope.Worker, 2)
	otherKey   = testKey(envelope.Submit, 3)
	publishKey = testKey(envelope.Publish, 4)
	unknownKey = testKey(envelope.Submit, 5)
	operateKey = testKey(envelope.Operate, 6)
)

// A ring knows keys of any purpose.
type ring map[envelope.KeyID]envelope.PublicKey

func ringOf(keys ...envelope.PublicKey) ring {
	r := ring{}
	for _, k := range keys {
		r[k.ID()] = k
	}
	return r
}

func (r ring) SubmitKey(id envelope.KeyID) (envelope.PublicKey, bool) { k, ok := r[id]; return k, ok }
func (r ring) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) { k, ok := r[id]; return k, ok }
func (r ring) OrderKey(id envelope.KeyID) (envelope.PublicKey, bool)  { k, ok := r[id]; return k, ok }

var (
	keys        = ringOf(submitKey.Public(), workerKey.Public(), otherKey.Public(), publishKey.Public(), operateKey.Public())
	reader      = envelope.Reader{Keys: keys, Audience: "prod"}
	orderReader = envelope.OrderReader{Keys: keys, Audience: "prod"}
)

func seq(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// leastTask has only what a task must have.
func leastTask() envelope.Task {
	return envelope.Task{
		ID: envelope.MessageID(seq(0x10, 16)), Audience: "prod", Tenant: "acme", Queue: "jobs", Task: "image.thumbnail",
		Issued: now.Add(-500 * time.Millisecond), Expires: now.Add(time.Hour),
	}
}

// fullTask has every field that this version allows.
func fullTask() envelope.Task {
	t := leastTask()
	t.Module = envelope.Digest(seq(0x40, 32))
	t.NotBefore = now.Add(time.Minute)
	t.Attempts = 3
	t.Limits = envelope.Limits{
		Memory: 64 << 20, Stack: 1 << 20, Result: 5 << 32, Wall: 5 * time.Second, CPU: 1500 * time.Millisecond, Calls: 100,
	}
	t.Narrowed = true
	t.Caps = []string{"http GET https://img.example.com/*", "kv rw thumbs/*"}
	t.UniqueKey, t.UniqueWindow = "thumb:1.png", 90*time.Second
	t.Priority = 2
	t.ContentType = "application/json"
	t.Payload = []byte(`{"url":"https://img.example.com/1.png"}`)
	t.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	t.Parent = envelope.MessageID(seq(0x80, 16))
	return t
}

// fullStep is the last step of a plan.
func fullStep() envelope.Task {
	t := fullTask()
	t.Payload, t.ContentType = nil, ""
	t.Plan = envelope.MessageID(seq(0xa0, 16))
	t.After = []envelope.MessageID{envelope.MessageID(seq(0x01, 16)), envelope.MessageID(seq(0x02, 16))}
	return t
}

// boundStep is fullStep, bound to the messages that it comes after.
func boundStep() envelope.Task {
	t := fullStep()
	t.AfterBodies = []envelope.Digest{envelope.Digest(seq(0xc0, 32)), envelope.Digest(seq(0xc1, 32))}
	return t
}

// firstStep is the first step of a plan.
func firstStep() envelope.Task {
	t := leastTask()
	t.Plan = envelope.MessageID(seq(0xa0, 16))
	t.Payload = []byte("{}")
	return t
}

// leastResult has only what a result must have.
func leastResult() envelope.Result {
	return envelope.Result{
		ID: envelope.MessageID(seq(0x10, 16)), Message: envelope.Digest(seq(0x20, 32)),
		Audience: "prod", Tenant: "acme", Queue: "jobs", Task: "image.thumbnail",
		Status: envelope.StatusRefused, Code: "policy.denied", Finished: now,
	}
}

// fullResult has every field that a finished task can have.
func fullResult() envelope.Result {
	r := leastResult()
	r.Module = envelope.Digest(seq(0x40, 32))
	r.Status, r.Code = envelope.StatusDone, ""
	r.Attempt = 2
	r.Started = now.Add(-20 * time.Millisecond)
	r.ContentType = "application/json"
	r.Output = []byte(`{"width":128}`)
	r.Error = "naïve\tbut allowed\n"
	return r
}

// stepResult is fullResult of a step.
func stepResult() envelope.Result {
	r := fullResult()
	r.Body = envelope.Digest(seq(0xc0, 32))
	return r
}

func mustSign(t testing.TB, task envelope.Task, key envelope.PrivateKey) []byte {
	t.Helper()
	msg, err := envelope.Sign(task, key)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func mustSignResult(t testing.TB, r envelope.Result, key envelope.PrivateKey) []byte {
	t.Helper()
	b, err := envelope.SignResult(r, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rawFrame signs any body as any type: what a hostile holder of a key can do.
func rawFrame(typ string, body []byte, key envelope.PrivateKey) node {
	id := key.Public().ID()
	return arr(num(1), str(typ), bin(body), arr(arr(bin(id[:]), bin(key.Sign(typ, body)), null())))
}

// bodyOf returns the body of a message, as a tree.
func bodyOf(t testing.TB, msg []byte) node {
	t.Helper()
	frame, err := parseAll(msg)
	if err != nil {
		t.Fatal(err)
	}
	body, err := parseAll(frame.at(2).data)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fullOrder has every field that an order can have.
func fullOrder() envelope.Order {
	o := leastOrder()
	o.Act, o.Tenant, o.Target, o.Code = envelope.ActRequeue, "acme", "1790000000500-0", "policy.denied"
	o.Note = "granted since: naïve\n"
	return o
}

// beforeOrder is fullOrder with a time.
func beforeOrder() envelope.Order {
	o := fullOrder()
	o.Before = o.Issued.Add(-time.Hour)
	return o
}

// leastOrder has only what an order must have.
func leastOrder() envelope.Order {
	return envelope.Order{
		ID: envelope.MessageID(seq(0x30, 16)), Audience: "prod", Queue: "jobs", Act: envelope.ActPause,
		Issued: now.Add(-500 * time.Millisecond), Expires: now.Add(30 * time.Minute),
	}
}

// cancelOrder is one that a sender may give.
func cancelOrder() envelope.Order {
	o := leastOrder()
	o.Act, o.Tenant, o.Target = envelope.ActCancel, "acme", leastTask().ID.String()
	return o
}

func mustSignOrder(t testing.TB, o envelope.Order, key envelope.PrivateKey) []byte {
	t.Helper()
	b, err := envelope.SignOrder(o, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// miniVerify checks a frame and its signature without the package: own reader, own key text, own PAE, own tree.
func miniVerify(msg []byte, typ string, publicKey []byte) (body node, err error) {
	frame, err := parseAll(msg)
	if err != nil {
		return node{}, err
	}
	if !bytes.Equal(frame.bytes(), msg) || len(frame.items) != 4 || frame.at(0).n != 1 || frame.at(1).string() != typ {
		return node{}, errors.New("not a frame of this type")
	}
	sig := frame.at(3).at(0)
	if len(frame.at(3).items) != 1 || len(sig.items) != 3 {
		return node{}, errors.New("not one signature")
	}
	signed := miniPAE(typ, frame.at(2).data)
	if place := sig.at(2); place.kind != 'n' {
		root, err := miniClimb(signed, place)
		if err != nil {
			return node{}, err
		}
		signed = miniPAE("application/vnd.caisson.batch.v1", append(binary.BigEndian.AppendUint64(nil, place.at(0).n), root...))
	}
	if !ed25519.Verify(publicKey, signed, sig.at(1).data) {
		return node{}, errors.New("signature does not hold")
	}
	if body, err = parseAll(frame.at(2).data); err == nil && !bytes.Equal(body.bytes(), frame.at(2).data) {
		err = errors.New("body is not canonical")
	}
	return body, err
}

func miniPAE(typ string, body []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(typ), typ, len(body), body)
}

// miniClimb goes from a leaf to the root of its tree, as RFC 9162, section 2.1.3.2, says it.
func miniClimb(leaf []byte, place node) ([]byte, error) {
	if len(place.items) != 3 || place.at(0).n < 2 || place.at(1).n >= place.at(0).n {
		return nil, errors.New("no place in a tree")
	}
	fn, sn := place.at(1).n, place.at(0).n-1
	r := sha256.Sum256(append([]byte{0}, leaf...))
	for _, p := range place.at(2).items {
		if sn == 0 {
			return nil, errors.New("path too long")
		}
		if fn&1 == 1 || fn == sn {
			r = sha256.Sum256(append(append([]byte{1}, p.data...), r[:]...))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = sha256.Sum256(append(append([]byte{1}, r[:]...), p.data...))
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return nil, errors.New("path too short")
	}
	return r[:], nil
}

// miniKeyID computes a key's id without the package.
func miniKeyID(purpose string, publicKey []byte) []byte {
	sum := sha256.Sum256([]byte("caisson-key-id-v1:" + purpose + ":" + string(publicKey)))
	return sum[:16]
}

// code returns err's code, "ok" for nil.
func code(err error) string {
	if err == nil {
		return "ok"
	}
	var coded interface {
		error
		Code() string
	}
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return "no code: " + err.Error()
}
