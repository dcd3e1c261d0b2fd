package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// The vectors, for this and for other implementations. testdata/README.md describes their form.
//
//go:embed testdata
var vectorFiles embed.FS

var update = flag.Bool("update", false, "write testdata/valid anew; testdata/invalid is never written by this program")

var taskFields = []string{
	"id", "issuer", "audience", "tenant", "queue", "task", "module", "issued", "not_before", "expires", "attempts", "limits",
	"caps", "unique_key", "unique_window", "priority", "content_type", "encryption", "payload", "reply_key", "trace", "parent",
}

var resultFields = []string{
	"id", "message", "worker", "audience", "tenant", "queue", "task", "module", "status", "code", "attempt", "started",
	"finished", "content_type", "encryption", "output", "error", "body",
}

var stepFields = append(slices.Clone(taskFields), "plan", "after", "after_bodies")

var orderFields = []string{
	"id", "issuer", "audience", "queue", "act", "tenant", "target", "code", "issued", "expires", "note", "before",
}

// A vector is one file.
type vector struct {
	about    []string // comment lines at its top
	kind     string   // "task", "order" or "result"
	audience string   // of the reader; tasks and orders only
	now      int64    // milliseconds; tasks and orders only
	keys     []string // public keys that the reader knows
	secret   string   // the key that signed; "" where none did
	want     string   // "ok" or a code
	digest   string
	fields   []string // "NAME = VALUE" in the order of the body; want ok only
	message  []byte
}

func readVector(t *testing.T, name string) (v vector) {
	t.Helper()
	text, err := vectorFiles.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	inHex := false
	var digits strings.Builder
	for i, line := range strings.Split(string(text), "\n") {
		if inHex {
			line, _, _ = strings.Cut(line, "#")
			digits.WriteString(strings.Join(strings.Fields(line), ""))
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
			v.about = append(v.about, line)
		case line == "hex:":
			inHex = true
		case key == "kind":
			v.kind = value
		case key == "audience":
			v.audience = value
		case key == "now":
			if v.now, err = strconv.ParseInt(value, 10, 64); err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
		case key == "key":
			v.keys = append(v.keys, value)
		case key == "secret":
			v.secret = value
		case key == "want":
			v.want = value
		case key == "digest":
			v.digest = value
		case key == "field":
			v.fields = append(v.fields, value)
		case ok || line != "":
			t.Fatalf("%s:%d: %q is not of the form", name, i+1, line)
		}
	}
	if v.message, err = hex.DecodeString(digits.String()); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// text returns the file of v, its bytes taken apart as far as they can be.
func (v vector) text() []byte {
	var b bytes.Buffer
	for _, line := range v.about {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b, "kind:", v.kind)
	if v.kind != "result" {
		fmt.Fprintf(&b, "audience: %s\nnow: %d\n", v.audience, v.now)
	}
	for _, key := range v.keys {
		fmt.Fprintln(&b, "key:", key)
	}
	if v.secret != "" {
		fmt.Fprintln(&b, "secret:", v.secret)
	}
	fmt.Fprintf(&b, "want: %s\ndigest: %s\n", v.want, envelope.DigestOf(v.message))
	names := v.names()
	if frame, err := parseAll(v.message); err == nil && v.want == "ok" {
		body, _ := parseAll(frame.at(2).data)
		for i, item := range body.items {
			fmt.Fprintf(&b, "field: %s = %s\n", names[i], show(item))
		}
	}
	fmt.Fprintln(&b, "hex:")
	if frame, err := parseAll(v.message); err == nil && bytes.Equal(frame.bytes(), v.message) {
		hexLines(&b, frame, "", "frame", names)
	} else {
		plainLines(&b, "", v.message, "")
	}
	return b.Bytes()
}

// names returns what the values of v's body are called.
func (v vector) names() []string {
	frame, err := parseAll(v.message)
	switch {
	case v.kind == "result":
		return resultFields
	case v.kind == "order":
		return orderFields
	case err == nil && len(frame.items) > 1 && frame.at(1).string() == envelope.StepType:
		return stepFields
	}
	return taskFields
}

// show writes a value as in field lines.
func show(v node) string {
	switch v.kind {
	case 'i':
		return strconv.FormatUint(v.n, 10)
	case 's':
		return strconv.QuoteToASCII(string(v.data))
	case 'b':
		return "0x" + hex.EncodeToString(v.data)
	case 'a':
		items := make([]string, len(v.items))
		for i, item := range v.items {
			items[i] = show(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return "nil"
}

// hexLines writes v in commented hex.
func hexLines(b *bytes.Buffer, v node, indent, what string, names []string) {
	comment := what
	switch v.kind {
	case 'n':
		comment += ": nil"
	case 'i':
		comment += fmt.Sprintf(": %d", v.n)
	case 's':
		comment += fmt.Sprintf(": string of %d: %s", len(v.data), show(v))
	case 'b':
		comment += fmt.Sprintf(": %d bytes", len(v.data))
	case 'a':
		comment += fmt.Sprintf(": array of %d", len(v.items))
	}
	plainLines(b, indent, v.head(), comment)
	inner := map[string][]string{
		"frame":      {"version", "type", "body", "signatures"},
		"signatures": {"signature 0"}, "signature 0": {"key id", "signature", "batch path"},
		"batch path": {"size", "index", "hashes"},
		"limits":     {"memory", "stack", "result", "wall", "cpu", "calls"}, "body": names,
	}[what]
	if body, err := parseAll(v.data); what == "body" && v.kind == 'b' && err == nil && bytes.Equal(body.bytes(), v.data) {
		hexLines(b, body, indent+"  ", "body", names)
		return
	}
	plainLines(b, indent+"  ", v.data, "")
	for i, item := range v.items {
		name := fmt.Sprint(i)
		if i < len(inner) {
			name = inner[i]
		}
		hexLines(b, item, indent+"  ", name, names)
	}
}

func plainLines(b *bytes.Buffer, indent string, data []byte, comment string) {
	for chunk := range slices.Chunk(data, 16) {
		line := fmt.Sprintf("%s% x", indent, chunk)
		if comment != "" {
			line = fmt.Sprintf("%-40s # %s", line, comment)
			comment = ""
		}
		fmt.Fprintln(b, line)
	}
}

// validVectors are the vectors that -update writes.
func validVectors(t *testing.T) map[string]vector {
	full := fullTask()
	full.UniqueKey, full.UniqueWindow = "", 0
	nothing := leastTask()
	nothing.Narrowed = true
	parked := leastTask()
	parked.NotBefore = parked.Expires.Add(-time.Millisecond)
	day := leastTask()
	day.Expires = day.Issued.Add(envelope.LifetimeMax)
	payload := leastTask()
	payload.Payload = seq(0, 256)
	failed := leastResult()
	failed.Status, failed.Code, failed.Attempt, failed.Started = envelope.StatusFailed, "task.failed", 1, now.Add(-time.Second)
	failed.Error = "cannot read the picture: naïve\n\tat 日本"
	task := func(about string, task envelope.Task) vector {
		return vector{
			about: []string{"# " + about}, kind: "task", audience: "prod", now: now.UnixMilli(), want: "ok",
			keys: []string{submitKey.Public().String(), otherKey.Public().String()}, secret: submitKey.Text(),
			message: mustSign(t, task, submitKey),
		}
	}
	result := func(about string, r envelope.Result) vector {
		return vector{
			about: []string{"# " + about}, kind: "result", want: "ok",
			keys: []string{workerKey.Public().String()}, secret: workerKey.Text(), message: mustSignResult(t, r, workerKey),
		}
	}
	order := func(about string, o envelope.Order, key envelope.PrivateKey) vector {
		return vector{
			about: []string{"# " + about}, kind: "order", audience: "prod", now: now.UnixMilli(), want: "ok",
			keys: []string{key.Public().String()}, secret: key.Text(), message: mustSignOrder(t, o, key),
		}
	}
	unique := leastTask()
	unique.UniqueKey, unique.UniqueWindow = "order 17", envelope.UniqueWindowMin
	batch := mustSignBatch(t, []envelope.Task{fullTask(), otherID(leastTask(), 1), otherID(firstStep(), 2), otherID(fullStep(), 3), otherID(leastTask(), 4)}, submitKey)
	batched := func(about string, i int) vector {
		v := task(about, leastTask())
		v.message = batch[i]
		return v
	}
	signed := result("The first result of a batch of three.", leastResult())
	signed.message = mustSignResults(t, []envelope.Result{fullResult(), leastResult(), failed}, workerKey)[0]
	return map[string]vector{
		"task-unique":              task("A unique key with the shortest window.", unique),
		"batch-0-of-5":             batched("The first message of a batch: a path of three hashes, all to the right of it.", 0),
		"batch-2-of-5":             batched("A step in a batch with tasks: a left sibling in the middle of its path.", 2),
		"batch-4-of-5":             batched("The last message of a batch of an odd number: a path of one hash, to the left.", 4),
		"step-first":               task("The first step of a plan: it has a payload and comes after nothing.", firstStep()),
		"step-bound":               task("A step that says which messages its inputs must answer, by the hashes of their bodies.", boundStep()),
		"step-last":                task("A step that comes after two others, and has no payload of its own.", fullStep()),
		"result-0-of-3":            signed,
		"order-least":              order("An order to pause, with only what it must have.", leastOrder(), operateKey),
		"order-full":               order("An order to requeue dead letters, with every field that an order can have.", fullOrder(), operateKey),
		"order-requeue-before":     order("An order to requeue dead letters, with every field that an order can have and a time before which they must have died.", beforeOrder(), operateKey),
		"order-cancel-by-sender":   order("An order to cancel, signed with the key that sent the message.", cancelOrder(), submitKey),
		"task-least":               task("A task with only what it must have.", leastTask()),
		"task-full":                task("A task with every field that this version allows, but for a unique key.", full),
		"task-narrowed-to-nothing": task("A sender who gives up every capability: an empty array, which is not nil.", nothing),
		"task-parked":              task("Not before the last millisecond of its life.", parked),
		"task-24-hours":            task("The longest life.", day),
		"task-payload-256":         task("A payload of 256 bytes, the first length that needs bin16.", payload),
		"result-least":             result("A refusal: no attempt began.", leastResult()),
		"result-full":              result("A finished task.", fullResult()),
		"result-of-step":           result("A finished step of a plan, with the hash of its body.", stepResult()),
		"result-failed":            result("A failed task, with an error text outside ASCII.", failed),
	}
}

func TestUpdateVectors(t *testing.T) {
	for name, v := range validVectors(t) {
		file := path.Join("testdata/valid", name+".txt")
		if *update {
			if err := os.WriteFile(file, v.text(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := vectorFiles.ReadFile(file)
		if err != nil || !bytes.Equal(have, v.text()) {
			t.Errorf("%s is not what this package writes now: the format has changed. That needs a new type; "+
				"if it is meant, run go test -update", file)
		}
	}
}

func TestVectors(t *testing.T) {
	for dir, least := range map[string]int{"testdata/valid": 19, "testdata/invalid": 129} {
		files, err := fs.Glob(vectorFiles, dir+"/*.txt")
		if err != nil || len(files) < least {
			t.Errorf("%s has %d vectors, want at least %d: %v", dir, len(files), least, err)
		}
		for _, name := range files {
			t.Run(strings.TrimPrefix(name, "testdata/"), func(t *testing.T) {
				v := readVector(t, name)
				if (v.want == "ok") != (dir == "testdata/valid") || len(v.about) == 0 {
					t.Errorf("stands in %s, wants %q, is about %q", dir, v.want, v.about)
				}
				if got := envelope.DigestOf(v.message).String(); got != v.digest {
					t.Errorf("digest is %s, want %s", got, v.digest)
				}
				v.check(t)
				if v.want == "ok" {
					v.checkIndependently(t)
				}
			})
		}
	}
}

// check holds the package against v.
func (v vector) check(t *testing.T) {
	known := ring{}
	for _, text := range v.keys {
		key, err := envelope.ParsePublicKey(text)
		if err != nil {
			t.Fatal(err)
		}
		known[key.ID()] = key
	}
	var again func(envelope.PrivateKey) ([]byte, error)
	var err error
	switch v.kind {
	case "task":
		var opened envelope.Verified
		opened, err = envelope.Reader{Keys: known, Audience: v.audience}.Open(v.message, time.UnixMilli(v.now))
		again = func(key envelope.PrivateKey) ([]byte, error) { return envelope.Sign(opened.Task(), key) }
	case "order":
		var opened envelope.VerifiedOrder
		opened, err = envelope.OrderReader{Keys: known, Audience: v.audience}.Open(v.message, time.UnixMilli(v.now))
		again = func(key envelope.PrivateKey) ([]byte, error) { return envelope.SignOrder(opened.Order(), key) }
	default:
		var opened envelope.Result
		opened, err = envelope.OpenResult(v.message, known)
		again = func(key envelope.PrivateKey) ([]byte, error) { return envelope.SignResult(opened, key) }
	}
	if code(err) != v.want {
		t.Errorf("got %v, want %s", err, v.want)
	}
	if err != nil {
		return
	}
	key, err := envelope.ParsePrivateKey(v.secret)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := again(key)
	if err != nil {
		t.Fatal(err)
	}
	have, frame := mustParse(t, msg), mustParse(t, v.message)
	if frame.at(3).at(0).at(2).kind == 'a' { // its batch is not here to be signed again; its body is
		have = have.with(frame.at(3), 3)
	}
	if !bytes.Equal(have.bytes(), v.message) {
		t.Errorf("signed again it is other bytes: %x", msg)
	}
}

// otherID returns task under the n-th id of a test.
func otherID(task envelope.Task, n byte) envelope.Task {
	task.ID = envelope.MessageID(seq(0x50+n, 16))
	return task
}

// checkIndependently holds the reader of mini_test.go against v.
func (v vector) checkIndependently(t *testing.T) {
	typ, names, signer := "application/vnd.caisson.task.v1+msgpack", v.names(), 1
	switch {
	case v.kind == "result":
		typ, signer = "application/vnd.caisson.result.v1+msgpack", 2
	case v.kind == "order":
		typ = "application/vnd.caisson.order.v1+msgpack"
	case slices.Contains(names, "plan"):
		typ = "application/vnd.caisson.step.v1+msgpack"
	}
	purpose := strings.Split(v.keys[0], "-")[1]
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(v.keys[0], "caisson-"+purpose+"-public-"))
	if err != nil || len(raw) != 36 {
		t.Fatalf("key: %v", err)
	}
	sum := sha256.Sum256([]byte("caisson-key-checksum-v1:caisson-" + purpose + "-public-" + string(raw[:32])))
	if !bytes.Equal(sum[:4], raw[32:]) {
		t.Errorf("the key's checksum is %x", sum[:4])
	}
	body, err := miniVerify(v.message, typ, raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	if id := miniKeyID(purpose, raw[:32]); !bytes.Equal(body.at(signer).data, id) {
		t.Errorf("signed by %x, want %x", body.at(signer).data, id)
	}
	if len(names) > len(taskFields) || v.kind != "task" { // the last value is there only where it says something
		names = names[:min(max(len(body.items), len(names)-1), len(names))]
	}
	if len(body.items) != len(names) || len(v.fields) != len(names) {
		t.Fatalf("%d values and %d field lines, want %d", len(body.items), len(v.fields), len(names))
	}
	for i, item := range body.items {
		if got := names[i] + " = " + show(item); got != v.fields[i] {
			t.Errorf("got %s, want %s", got, v.fields[i])
		}
	}
}

// Lines of testdata/keys.txt: WANT TEXT [ID [PUBLIC]].
func TestKeyVectors(t *testing.T) {
	text, err := vectorFiles.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		n++
		f := strings.Fields(line)
		public, err := envelope.ParsePublicKey(f[1])
		if strings.HasPrefix(f[1], "CAISSON-") {
			var private envelope.PrivateKey
			private, err = envelope.ParsePrivateKey(f[1])
			if public = private.Public(); err == nil && public.String() != f[3] {
				t.Errorf("line %d: public key is %s", i+1, public)
			}
		}
		if code(err) != f[0] || err == nil && public.ID().String() != f[2] {
			t.Errorf("line %d: %v, %s", i+1, err, public.ID())
		}
	}
	if n < 20 {
		t.Errorf("only %d keys", n)
	}
}

// The page's example is the vector that it names.
func TestPageShowsTheVector(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/envelope.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := vectorFiles.ReadFile("testdata/valid/task-least.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, hexPart, _ := bytes.Cut(text, []byte("\nhex:\n"))
	if !bytes.Contains(page, hexPart) {
		t.Error("docs/reference/envelope.md shows other bytes than testdata/valid/task-least.txt")
	}
	if n := len(readVector(t, "testdata/valid/task-least.txt").message); !bytes.Contains(page, fmt.Appendf(nil, "all %d bytes", n)) {
		t.Errorf("docs/reference/envelope.md has the wrong length, want %d", n)
	}
}
