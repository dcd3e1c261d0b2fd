package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// now is when the clients of these tests send.
var now = time.UnixMilli(1_790_000_000_000).UTC()

func testKey(p envelope.Purpose, n byte) envelope.PrivateKey {
	key, err := envelope.GenerateKey(p, bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	submitKey = testKey(envelope.Submit, 1)
	workerKey = testKey(envelope.Worker, 2)
	stranger  = testKey(envelope.Worker, 3)
)

// A ring knows keys.
type ring []envelope.PublicKey

func (r ring) find(id envelope.KeyID) (envelope.PublicKey, bool) {
	for _, k := range r {
		if k.ID() == id {
			return k, true
		}
	}
	return envelope.PublicKey{}, false
}

func (r ring) SubmitKey(id envelope.KeyID) (envelope.PublicKey, bool) { return r.find(id) }
func (r ring) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) { return r.find(id) }

// A broker is a queue.Sender and a queue.Results in memory.
type broker struct {
	mu      sync.Mutex
	batches [][]queue.Outgoing
	fail    error             // what Send gives
	results map[string][]byte // queue/key/id
	changed chan struct{}     // closed and made anew at each put
	waits   int               // calls of Wait
}

func newBroker() *broker {
	return &broker{results: map[string][]byte{}, changed: make(chan struct{})}
}

func (b *broker) Send(_ context.Context, batch []queue.Outgoing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches = append(b.batches, slices.Clone(batch))
	return b.fail
}

func (b *broker) put(queueName, id string, result []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results[queueName+"/"+submitKey.Public().ID().String()+"/"+id] = result
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *broker) Result(_ context.Context, queueName, key, id string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if result, ok := b.results[queueName+"/"+key+"/"+id]; ok {
		return result, nil
	}
	return nil, queue.ErrNoResult
}

// Wait keeps the promise of queue.Results: got once for each id.
func (b *broker) Wait(ctx context.Context, queueName, key string, ids []string, got func(string, []byte)) error {
	b.mu.Lock()
	b.waits++
	b.mu.Unlock()
	ids = slices.Clone(ids)
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		ids = slices.DeleteFunc(ids, func(id string) bool {
			result, err := b.Result(ctx, queueName, key, id)
			if err != nil {
				return false
			}
			got(id, result)
			return true
		})
		if len(ids) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func config(b *broker) client.Config {
	return client.Config{
		Sender: b, Results: b, Key: submitKey, Workers: ring{workerKey.Public()},
		Audience: "prod", Tenant: "acme", Queue: "images", Now: func() time.Time { return now },
	}
}

func open(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c *client.Client, task client.Task) client.Receipt {
	t.Helper()
	r, err := c.Send(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is a worker's result for what r is the receipt of, after edit.
func answer(t *testing.T, r client.Receipt, key envelope.PrivateKey, edit func(*envelope.Result)) []byte {
	t.Helper()
	result := envelope.Result{
		ID: r.ID, Message: r.Digest, Audience: "prod", Tenant: "acme", Queue: r.Queue, Task: r.Task,
		Status: envelope.StatusDone, Attempt: 1, Started: now, Finished: now.Add(time.Second),
		ContentType: "application/json", Output: []byte(`{"width":128}`),
	}
	if edit != nil {
		edit(&result)
	}
	b, err := envelope.SignResult(result, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t *testing.T, msg []byte) envelope.Task {
	t.Helper()
	v, err := envelope.Reader{Keys: ring{submitKey.Public()}, Audience: "prod"}.Open(msg, now)
	if err != nil {
		t.Fatal(err)
	}
	return v.Task()
}

func code(err error) string {
	var coded interface {
		error
		Code() string
	}
	if err == nil {
		return "ok"
	}
	if !errors.As(err, &coded) {
		return "no code: " + err.Error()
	}
	return coded.Code()
}

func TestOpenReportsEveryFault(t *testing.T) {
	_, err := client.Open(client.Config{Results: newBroker(), Key: workerKey, Tenant: "A", Within: 25 * time.Hour, Coalesce: client.Coalesce{Window: -1, Max: -1}})
	for _, want := range []string{"Sender:", "Key:", "Workers:", "Audience:", "Tenant:", "Queue:", "Within:", "Coalesce.Window:", "Coalesce.Max:"} {
		if err == nil || !strings.Contains(err.Error(), "client: config: "+want) {
			t.Errorf("the error does not name %s %v", want, err)
		}
	}
	if _, err = client.Open(client.Config{}); code(err) != "client.config" || !strings.Contains(err.Error(), "Key: is missing") {
		t.Errorf("no config: %v", err)
	}
}

func TestSendSignsWhatWasAsked(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	full := client.Task{
		Name: "image.thumbnail", Input: map[string]int{"width": 128}, Within: time.Minute, NotBefore: now.Add(time.Second), Queue: "fast",
		Module: envelope.DigestOf([]byte("module")), Narrowed: true, Caps: []string{"log"}, Attempts: 3,
		Limits: envelope.Limits{Memory: 1 << 20}, Priority: client.Low, Parent: envelope.NewMessageID(),
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	r := send(t, c, full)
	out := b.batches[0][0]
	want := envelope.Task{
		ID: r.ID, Issuer: submitKey.Public().ID(), Audience: "prod", Tenant: "acme", Queue: "fast", Task: "image.thumbnail",
		Module: full.Module, Issued: now, NotBefore: full.NotBefore, Expires: now.Add(time.Minute), Attempts: 3, Limits: full.Limits,
		Narrowed: true, Caps: []string{"log"}, Priority: 2, ContentType: "application/json", Payload: []byte(`{"width":128}`),
		Trace: full.Trace, Parent: full.Parent,
	}
	if got := verify(t, out.Message); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if out.Lane != (queue.Lane{Queue: "fast", Tenant: "acme", Priority: queue.PriorityLow}) {
		t.Errorf("lane is %s", out.Lane)
	}
	if r.Digest != envelope.DigestOf(out.Message) || !bytes.Equal(r.Message, out.Message) || r.Queue != "fast" || r.Task != full.Name {
		t.Errorf("receipt is %+v", r)
	}
}

func TestSignSendsNothing(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	r, err := c.Sign(client.Task{Name: "image.thumbnail", Input: 1, Queue: "fast", Priority: client.High})
	if err != nil || len(b.batches) != 0 {
		t.Fatalf("%d batches, %v", len(b.batches), err)
	}
	if got := verify(t, r.Message); got.ID != r.ID || got.Task != "image.thumbnail" || string(got.Payload) != "1" {
		t.Errorf("signed %+v", got)
	}
	if err := c.Resend(t.Context(), []client.Receipt{r}); err != nil {
		t.Fatal(err)
	}
	want := queue.Outgoing{Lane: queue.Lane{Queue: "fast", Tenant: "acme", Priority: queue.PriorityHigh}, Message: r.Message}
	if len(b.batches) != 1 || !reflect.DeepEqual(b.batches[0], []queue.Outgoing{want}) {
		t.Errorf("sent %+v", b.batches)
	}
	var bad *client.TaskError
	if r, err := c.Sign(client.Task{Name: "a b"}); !errors.As(err, &bad) || code(err) != envelope.CodeField || r.Message != nil {
		t.Errorf("a bad name: %+v, %v", r, err)
	}
}

func TestSendDefaults(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	for name, row := range map[string]struct {
		task        client.Task
		payload     string
		contentType string
	}{
		"nothing":            {client.Task{Name: "a"}, "", ""},
		"payload":            {client.Task{Name: "a", Payload: []byte("x")}, "x", "application/octet-stream"},
		"payload with type":  {client.Task{Name: "a", Payload: []byte("x"), ContentType: "text/csv"}, "x", "text/csv"},
		"input":              {client.Task{Name: "a", Input: "x"}, `"x"`, "application/json"},
		"input with type":    {client.Task{Name: "a", Input: 1, ContentType: "application/json; v=2"}, `1`, "application/json; v=2"},
		"input of raw bytes": {client.Task{Name: "a", Input: json.RawMessage(`null`)}, `null`, "application/json"},
	} {
		r := send(t, c, row.task)
		got := verify(t, r.Message)
		if string(got.Payload) != row.payload || got.ContentType != row.contentType {
			t.Errorf("%s: payload %q, %q", name, got.Payload, got.ContentType)
		}
		if got.Expires.Sub(got.Issued) != client.WithinDefault || got.Priority != 1 || got.Queue != "images" || got.Narrowed {
			t.Errorf("%s: %+v", name, got)
		}
		if r.Priority != queue.PriorityNormal {
			t.Errorf("%s: priority is %s", name, r.Priority)
		}
	}
}

func TestSendManyIsOneWrite(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	tasks := make([]client.Task, 100)
	for i := range tasks {
		tasks[i] = client.Task{Name: "a", Input: i, Priority: []client.Priority{client.High, client.Normal, client.Low}[i%3]}
	}
	receipts, err := c.SendMany(t.Context(), tasks)
	if err != nil || len(receipts) != 100 || len(b.batches) != 1 || len(b.batches[0]) != 100 {
		t.Fatalf("%d receipts, %d batches, %v", len(receipts), len(b.batches), err)
	}
	seen := map[envelope.MessageID]bool{}
	for i, r := range receipts {
		out := b.batches[0][i]
		if !bytes.Equal(out.Message, r.Message) || int(out.Lane.Priority) != i%3 || string(verify(t, out.Message).Payload) != itoa(i) {
			t.Errorf("receipt %d is another's", i)
		}
		seen[r.ID] = true
	}
	if len(seen) != 100 {
		t.Error("ids are used twice")
	}
	if first, last := signatureOf(receipts[0].Message), signatureOf(receipts[99].Message); first == "" || first != last {
		t.Error("the batch has more than one signature")
	}
	if receipts, err := c.SendMany(t.Context(), nil); err != nil || len(receipts) != 0 || len(b.batches) != 1 {
		t.Errorf("sending nothing: %v", err)
	}
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }

func TestSendRefuses(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	for name, row := range map[string]struct {
		task client.Task
		code string
	}{
		"no name":            {client.Task{}, envelope.CodeField},
		"bad name":           {client.Task{Name: "a b"}, envelope.CodeField},
		"input and payload":  {client.Task{Name: "a", Input: 1, Payload: []byte{}}, envelope.CodeField},
		"input not JSON":     {client.Task{Name: "a", Input: func() {}}, "client.task"},
		"payload too long":   {client.Task{Name: "a", Payload: make([]byte, envelope.PayloadSizeMax+1)}, envelope.CodeSize},
		"25 h":               {client.Task{Name: "a", Within: 25 * time.Hour}, envelope.CodeTTL},
		"before now":         {client.Task{Name: "a", Within: -time.Second}, envelope.CodeField},
		"priority":           {client.Task{Name: "a", Priority: "urgent"}, envelope.CodeField},
		"caps, not narrowed": {client.Task{Name: "a", Caps: []string{"log"}}, envelope.CodeField},
		"queue":              {client.Task{Name: "a", Queue: "../q"}, envelope.CodeField},
	} {
		_, err := c.SendMany(t.Context(), []client.Task{{Name: "good"}, row.task})
		var bad *client.TaskError
		if code(err) != row.code || !errors.As(err, &bad) || bad.Index != 1 {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	if _, err := c.SendMany(t.Context(), make([]client.Task, client.BatchMax+1)); code(err) != "client.batch" {
		t.Errorf("too many: %v", err)
	}
	large := client.Task{Name: "a", Payload: make([]byte, envelope.PayloadSizeMax)}
	if _, err := c.SendMany(t.Context(), slices.Repeat([]client.Task{large}, client.BatchSizeMax/envelope.PayloadSizeMax+1)); code(err) != "client.batch" {
		t.Errorf("too much: %v", err)
	}
	if len(b.batches) != 0 {
		t.Errorf("%d batches were sent", len(b.batches))
	}
}

func TestResendWritesTheSameBytes(t *testing.T) {
	b := newBroker()
	b.fail = &queue.UnavailableError{Op: "send", Reason: queue.ReasonConnection, Err: errors.New("reset")}
	c := open(t, config(b))
	r, err := c.Send(t.Context(), client.Task{Name: "a", Priority: client.High})
	var unavailable *queue.UnavailableError
	if !errors.As(err, &unavailable) || r.ID.IsZero() {
		t.Fatalf("got %+v, %v", r, err)
	}
	b.fail = nil
	if err := c.Resend(t.Context(), []client.Receipt{r}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.batches[0], b.batches[1]) {
		t.Error("other bytes, or to another lane")
	}
	r.Message = nil
	if err := c.Resend(t.Context(), []client.Receipt{r}); code(err) != "client.receipt" {
		t.Errorf("without a message: %v", err)
	}
}

func TestWait(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	r := send(t, c, client.Task{Name: "a"})
	b.put("images", r.ID.String(), answer(t, r, workerKey, nil))
	// A receipt that went through JSON waits as well.
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var kept client.Receipt
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	for _, r := range []client.Receipt{r, kept} {
		result, err := c.Wait(t.Context(), r)
		if err != nil || string(result.Output) != `{"width":128}` || result.Worker != workerKey.Public().ID() {
			t.Errorf("got %+v, %v", result, err)
		}
	}
}

func TestOutcomesAreTyped(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	for status, row := range map[envelope.Status]struct {
		code    string
		refused bool
	}{
		envelope.StatusRefused: {"policy.denied", true},
		envelope.StatusFailed:  {"task.failed", false},
		envelope.StatusDead:    {"task.error", false},
	} {
		r := send(t, c, client.Task{Name: "a"})
		b.put("images", r.ID.String(), answer(t, r, workerKey, func(x *envelope.Result) {
			x.Status, x.Code, x.Error, x.Output = status, row.code, "why", nil
		}))
		result, err := c.Wait(t.Context(), r)
		var refused *client.RefusedError
		var failed *client.FailedError
		if code(err) != row.code || errors.As(err, &refused) != row.refused || errors.As(err, &failed) == row.refused {
			t.Errorf("%s: %v", status, err)
		}
		if result.Status != status || !strings.Contains(err.Error(), "why") {
			t.Errorf("%s: %+v, %v", status, result, err)
		}
	}
}

// Everything that may lie where a result should, each followed by the true one.
func TestFalseResultsAreRejectedAndTheWaitGoesOn(t *testing.T) {
	signed := func(edit func(*envelope.Result)) func(*testing.T, client.Receipt, client.Receipt) []byte {
		return func(t *testing.T, r, _ client.Receipt) []byte { return answer(t, r, workerKey, edit) }
	}
	rows := map[string]struct {
		bytes func(t *testing.T, r, other client.Receipt) []byte
		code  string // of what the rejection wraps
		field string // of the mismatch
	}{
		"garbage":            {func(*testing.T, client.Receipt, client.Receipt) []byte { return []byte("done") }, envelope.CodeEncoding, ""},
		"the message itself": {func(_ *testing.T, r, _ client.Receipt) []byte { return r.Message }, envelope.CodeType, ""},
		"by a stranger":      {func(t *testing.T, r, _ client.Receipt) []byte { return answer(t, r, stranger, nil) }, envelope.CodeKeyUnknown, ""},
		"one bit turned": {func(t *testing.T, r, _ client.Receipt) []byte {
			b := answer(t, r, workerKey, nil)
			b[len(b)-5] ^= 1
			return b
		}, envelope.CodeSignature, ""},
		"of another message":   {func(t *testing.T, _, other client.Receipt) []byte { return answer(t, other, workerKey, nil) }, "", "id"},
		"same id, other bytes": {signed(func(r *envelope.Result) { r.Message[0] ^= 1 }), "", "message"},
		"other deployment":     {signed(func(r *envelope.Result) { r.Audience = "staging" }), "", "audience"},
		"other tenant":         {signed(func(r *envelope.Result) { r.Tenant = "evil" }), "", "tenant"},
		"other queue":          {signed(func(r *envelope.Result) { r.Queue = "slow" }), "", "queue"},
		"other task":           {signed(func(r *envelope.Result) { r.Task = "b" }), "", "task"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker()
				var told []*client.RejectedError
				cfg := config(b)
				cfg.Rejected = func(err *client.RejectedError) { told = append(told, err) }
				c := open(t, cfg)
				r, other := send(t, c, client.Task{Name: "a"}), send(t, c, client.Task{Name: "a"})
				b.put("images", r.ID.String(), row.bytes(t, r, other))
				go func() {
					<-time.After(time.Minute)
					b.put("images", r.ID.String(), answer(t, r, workerKey, nil))
				}()
				start := time.Now()
				result, err := c.Wait(t.Context(), r)
				if err != nil || result.ID != r.ID || result.Message != r.Digest {
					t.Fatalf("got %+v, %v", result, err)
				}
				if late := time.Since(start) - time.Minute; late < 0 || late > 5*time.Second {
					t.Errorf("the true result was seen %s after it came", late)
				}
				if b.waits > 40 {
					t.Errorf("the broker was asked %d times in a minute", b.waits)
				}
				if len(told) != 1 || told[0].ID != r.ID || code(told[0]) != "client.rejected" {
					t.Fatalf("told of %v", told)
				}
				var mismatch *client.MismatchError
				if row.field != "" && (!errors.As(told[0], &mismatch) || mismatch.Field != row.field) {
					t.Errorf("rejected for %v, want %s", told[0], row.field)
				}
				if row.code != "" && code(told[0].Err) != row.code {
					t.Errorf("rejected for %v, want %s", told[0], row.code)
				}
			})
		})
	}
}

func TestWaitThatEndsEarlySaysWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		c := open(t, config(b))
		r := send(t, c, client.Task{Name: "a"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Wait(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing came: %v", err)
		}
		b.put("images", r.ID.String(), answer(t, r, stranger, nil))
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		result, err := c.Wait(ctx, r)
		var rejected *client.RejectedError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &rejected) || !result.ID.IsZero() {
			t.Errorf("a forged result: %+v, %v", result, err)
		}
	})
}

// A rejected result holds up no other, and none is told of twice.
func TestWaitAllGivesEachResultOnceAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		c := open(t, config(b))
		var receipts []client.Receipt
		for i := range 30 {
			receipts = append(receipts, send(t, c, client.Task{Name: "a", Input: i, Queue: []string{"images", "reports"}[i%2]}))
		}
		forged := receipts[7]
		b.put(forged.Queue, forged.ID.String(), []byte("forged"))
		go func() {
			for i, r := range receipts {
				<-time.After(time.Second)
				if i == 7 {
					continue
				}
				b.put(r.Queue, r.ID.String(), answer(t, r, workerKey, func(x *envelope.Result) { x.Attempt = i }))
			}
			b.put(forged.Queue, forged.ID.String(), answer(t, forged, workerKey, func(x *envelope.Result) { x.Attempt = 7 }))
		}()
		counts := map[envelope.MessageID]int{}
		start := time.Now()
		err := c.WaitAll(t.Context(), append(receipts, receipts[0]), func(r client.Receipt, result envelope.Result, err error) {
			counts[r.ID]++
			i := slices.IndexFunc(receipts, func(x client.Receipt) bool { return x.ID == r.ID })
			if result.Attempt != i || err != nil {
				t.Errorf("receipt %d has the result of %d, %v", i, result.Attempt, err)
			}
			if late := time.Since(start) - time.Duration(i+1)*time.Second; i != 7 && late > 0 {
				t.Errorf("result %d was told %s late", i, late)
			}
		})
		if err != nil {
			t.Error(err)
		}
		if len(counts) != 30 || slices.Max(slices.Collect(maps.Values(counts))) != 1 {
			t.Errorf("told of %v", counts)
		}
	})
}

func TestManyWaitersAtOnce(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	var all sync.WaitGroup
	for i := range 50 {
		r := send(t, c, client.Task{Name: "a", Input: i})
		all.Go(func() {
			if result, err := c.Wait(t.Context(), r); err != nil || result.ID != r.ID {
				t.Errorf("got %+v, %v", result, err)
			}
		})
		all.Go(func() { b.put("images", r.ID.String(), answer(t, r, workerKey, nil)) })
	}
	all.Wait()
}

func TestWaitByIDAlone(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	r := send(t, c, client.Task{Name: "a"})
	b.put("images", r.ID.String(), answer(t, r, workerKey, nil))
	result, err := c.Wait(t.Context(), client.Receipt{ID: r.ID, Queue: r.Queue})
	if err != nil || result.Message != r.Digest {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestWaitRefuses(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	r := send(t, c, client.Task{Name: "a"})
	noID, noQueue, twice := r, r, r
	noID.ID, noQueue.Queue, twice.Digest = envelope.MessageID{}, "", envelope.DigestOf(nil)
	for name, receipts := range map[string][]client.Receipt{
		"no id": {noID}, "no queue": {noQueue}, "two digests": {r, twice},
	} {
		ended, end := context.WithCancel(t.Context())
		end() // so that a wait that begins after all ends at once
		if err := c.WaitAll(ended, receipts, nil); code(err) != "client.receipt" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.WaitAll(t.Context(), nil, nil); err != nil {
		t.Errorf("nothing to wait for: %v", err)
	}
	cfg := config(b)
	cfg.Results, cfg.Workers = nil, nil
	if _, err := open(t, cfg).Wait(t.Context(), r); code(err) != "client.config" {
		t.Errorf("without Results: %v", err)
	}
}

// An unavailable Results ends the wait, in one queue or in two.
type broken struct{ queue.Results }

func (broken) Wait(ctx context.Context, queueName, _ string, _ []string, _ func(string, []byte)) error {
	if queueName == "images" {
		return &queue.UnavailableError{Op: "wait", Reason: queue.ReasonPermission, Err: errors.New("no")}
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestWaitEndsWithTheQueue(t *testing.T) {
	b := newBroker()
	cfg := config(b)
	cfg.Results = broken{b}
	c := open(t, cfg)
	receipts := []client.Receipt{send(t, c, client.Task{Name: "a"}), send(t, c, client.Task{Name: "a", Queue: "reports"})}
	err := c.WaitAll(t.Context(), receipts, nil)
	var unavailable *queue.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.Reason != queue.ReasonPermission {
		t.Errorf("got %v", err)
	}
}
