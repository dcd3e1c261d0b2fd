package envelope_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

func TestSignedTasksOpen(t *testing.T) {
	narrowedToNothing := leastTask()
	narrowedToNothing.Narrowed = true
	for name, task := range map[string]envelope.Task{
		"least": leastTask(), "full": fullTask(), "narrowed to nothing": narrowedToNothing, "largest": largestTask(),
	} {
		msg := mustSign(t, task, submitKey)
		v, err := reader.Open(msg, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := task
		want.Issuer = submitKey.Public().ID()
		got := v.Task()
		if want.Payload == nil {
			want.Payload = []byte{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
		if v.Key() != submitKey.Public() || v.Digest() != envelope.DigestOf(msg) {
			t.Errorf("%s: key or digest is another", name)
		}
		if again := mustSign(t, got, submitKey); !bytes.Equal(again, msg) {
			t.Errorf("%s: signed again it is other bytes", name)
		}
	}
}

// largestTask has every field at its bound.
func largestTask() envelope.Task {
	t := fullTask()
	longest := strings.Repeat("n", envelope.NameSizeMax)
	t.Audience = "prod"
	t.Tenant, t.Queue, t.Task = longest, longest, longest
	t.Expires = t.Issued.Add(envelope.LifetimeMax)
	t.Attempts = envelope.AttemptsMax
	t.Limits = envelope.Limits{
		Memory: math.MaxInt64, Stack: math.MaxInt64, Result: math.MaxInt64,
		Wall: envelope.LifetimeMax, CPU: envelope.LifetimeMax, Calls: math.MaxInt64,
	}
	t.Caps = nil
	for range envelope.CapsMax {
		t.Caps = append(t.Caps, strings.Repeat("c", envelope.CapsSizeMax/envelope.CapsMax))
	}
	t.UniqueKey, t.UniqueWindow = strings.Repeat("u", envelope.UniqueKeySizeMax), envelope.LifetimeMax
	t.ContentType = strings.Repeat("t", envelope.ContentTypeSizeMax)
	t.Payload = bytes.Repeat([]byte{0xff}, envelope.PayloadSizeMax)
	return t
}

func TestLargestTaskFits(t *testing.T) {
	size := len(mustSign(t, largestTask(), submitKey))
	if size > envelope.MessageSizeMax-1<<10 { // 1 KiB for what later versions set: unique key, reply key
		t.Errorf("a task with every field at its bound is %d bytes", size)
	}
	result := fullResult()
	longest := strings.Repeat("n", envelope.NameSizeMax)
	result.Audience, result.Tenant, result.Queue, result.Task = longest, longest, longest, longest
	result.Output = make([]byte, envelope.OutputSizeMax)
	result.Error = strings.Repeat("e", envelope.ErrorSizeMax)
	opened, err := envelope.OpenResult(mustSignResult(t, result, workerKey), keys)
	if err != nil || len(opened.Output) != envelope.OutputSizeMax {
		t.Errorf("a result with every field at its bound: %v", err)
	}
}

// What was opened does not change when the message's buffer is used again, nor when the sender's is.
func TestNothingIsShared(t *testing.T) {
	task := fullTask()
	msg := mustSign(t, task, submitKey)
	task.Payload[0], task.Caps[0] = 'X', "kv ro x"
	v, err := reader.Open(msg, now)
	if err != nil {
		t.Fatal(err)
	}
	clear(msg)
	want := fullTask()
	want.Issuer = submitKey.Public().ID()
	if !reflect.DeepEqual(v.Task(), want) {
		t.Errorf("the task changed with its message: %+v", v.Task())
	}
	b := mustSignResult(t, fullResult(), workerKey)
	r, err := envelope.OpenResult(b, keys)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(r.Output, fullResult().Output) || r.Error != fullResult().Error {
		t.Error("the result changed with its bytes")
	}
}

func TestTimesAreCutToMilliseconds(t *testing.T) {
	task := leastTask()
	task.Issued = task.Issued.Add(999 * time.Microsecond).In(time.FixedZone("far", 3600))
	task.Expires = task.Expires.Add(time.Nanosecond)
	if !bytes.Equal(mustSign(t, task, submitKey), mustSign(t, leastTask(), submitKey)) {
		t.Error("parts of a millisecond or a zone reach the wire")
	}
}

// Positions of values in the body of a task.
const (
	atID = iota
	atIssuer
	atAudience
	atTenant
	atQueue
	atTask
	atModule
	atIssued
	atNotBefore
	atExpires
	atAttempts
	atLimits
	atCaps
	atUniqueKey
	atUniqueWindow
	atPriority
	atContentType
	atEncryption
	atPayload
	atReplyKey
	atTrace
	atParent
)

// A bodyEdit is one fault in the body of a signed task: what a hostile holder of a good key can send.
type bodyEdit struct {
	name string
	edit func(body node) node
	code string
}

func put(value node, path ...int) func(node) node {
	return func(body node) node { return body.with(value, path...) }
}

func bodyEdits() []bodyEdit {
	ms := func(t time.Time) node { return num(uint64(t.UnixMilli())) }
	zero16, zero32 := bin(make([]byte, 16)), bin(make([]byte, 32))
	long := strings.Repeat("a", 65)
	lines := func(n int, s string) (list []node) {
		for range n {
			list = append(list, str(s))
		}
		return list
	}
	const enc, field = envelope.CodeEncoding, envelope.CodeField
	edits := []bodyEdit{
		{"one value more", func(b node) node { b.items = append(b.items, null()); return b }, enc},
		{"one value less", func(b node) node { b.items = b.items[:len(b.items)-1]; return b }, enc},
		{"no array", func(node) node { return num(1) }, enc},
		{"empty array", func(node) node { return arr() }, enc},
		{"id too short", put(bin(seq(1, 15)), atID), enc},
		{"id too long", put(bin(seq(1, 17)), atID), enc},
		{"id nil", put(null(), atID), enc},
		{"id a string", put(str("0123456789abcdef"), atID), enc},
		{"id zero", put(zero16, atID), field},
		{"issuer nil", put(null(), atIssuer), enc},
		{"issuer another known key", put(bin(keyID(otherKey)), atIssuer), field},
		{"issuer unknown", put(bin(seq(1, 16)), atIssuer), field},
		{"audience of another", put(str("staging"), atAudience), envelope.CodeAudience},
		{"audience empty", put(str(""), atAudience), field},
		{"tenant nil", put(null(), atTenant), enc},
		{"tenant a number", put(num(7), atTenant), enc},
		{"tenant bytes", put(bin([]byte("acme")), atTenant), enc},
		{"module zero", put(zero32, atModule), enc},
		{"module short", put(bin(seq(1, 31)), atModule), enc},
		{"module false length", put(bin(nil), atModule), enc},
		{"issued zero", put(num(0), atIssued), field},
		{"issued nil", put(null(), atIssued), enc},
		{"issued 61 s ahead", func(b node) node {
			return b.with(ms(now.Add(61*time.Second)), atIssued)
		}, envelope.CodeNotYet},
		{"issued in the year 10000", put(num(253402300800000), atIssued), field},
		{"issued 2^63-1", put(num(math.MaxInt64), atIssued), field},
		{"expires zero", put(num(0), atExpires), field},
		{"expires 2^63-1", put(num(math.MaxInt64), atExpires), field},
		{"expires before issued", func(b node) node {
			return b.with(num(0), atNotBefore).with(ms(now.Add(-time.Hour)), atExpires)
		}, field},
		{"expires with issued", func(b node) node {
			return b.with(num(0), atNotBefore).with(ms(now.Add(-500*time.Millisecond)), atExpires)
		}, field},
		{"lives 25 h", put(ms(now.Add(25*time.Hour)), atExpires), envelope.CodeTTL},
		{"expired", func(b node) node {
			return b.with(ms(now.Add(-2*time.Hour)), atIssued).with(num(0), atNotBefore).with(ms(now), atExpires)
		}, envelope.CodeExpired},
		{"not before expires", put(ms(now.Add(time.Hour)), atNotBefore), field},
		{"not before next year", put(ms(now.AddDate(1, 0, 0)), atNotBefore), field},
		{"not before nil", put(null(), atNotBefore), enc},
		{"attempts above", put(num(envelope.AttemptsMax+1), atAttempts), field},
		{"attempts 2^63-1", put(num(math.MaxInt64), atAttempts), field},
		{"attempts nil", put(null(), atAttempts), enc},
		{"limits nil", put(null(), atLimits), enc},
		{"limits five", put(arr(num(0), num(0), num(0), num(0), num(0)), atLimits), enc},
		{"limits seven", put(arr(num(0), num(0), num(0), num(0), num(0), num(0), num(0)), atLimits), enc},
		{"wall 24 h and 1 ms", put(num(86_400_001), atLimits, 3), field},
		{"wall overflows as nanoseconds", put(num(math.MaxInt64/1000), atLimits, 3), field},
		{"cpu overflows as nanoseconds", put(num(math.MaxInt64), atLimits, 4), field},
		{"caps a string", put(str("log"), atCaps), enc},
		{"caps of numbers", put(arr(num(1)), atCaps), enc},
		{"caps nested", put(arr(arr(str("log"))), atCaps), enc},
		{"caps empty line", put(arr(str("")), atCaps), field},
		{"caps with newline", put(arr(str("log\nkv rw *")), atCaps), field},
		{"caps not ASCII", put(arr(str("kv ro café")), atCaps), field},
		{"caps too many", put(arr(lines(envelope.CapsMax+1, "log")...), atCaps), field},
		{"caps too long a line", put(arr(str(strings.Repeat("c", envelope.CapSizeMax+1))), atCaps), field},
		{"caps too long together", put(arr(lines(17, strings.Repeat("c", envelope.CapSizeMax))...), atCaps), field},
		{"unique key without window", put(num(0), atUniqueWindow), field},
		{"unique key with newline", put(str("on\nce"), atUniqueKey), field},
		{"unique key too long", put(str(strings.Repeat("u", 257)), atUniqueKey), field},
		{"unique window without key", put(str(""), atUniqueKey), field},
		{"unique window 999 ms", put(num(999), atUniqueWindow), field},
		{"unique window 24 h and 1 ms", put(num(86_400_001), atUniqueWindow), field},
		{"unique window overflows", put(num(math.MaxInt64), atUniqueWindow), field},
		{"priority 3", put(num(3), atPriority), field},
		{"content type newline", put(str("text/plain\n"), atContentType), field},
		{"content type too long", put(str(strings.Repeat("t", 129)), atContentType), field},
		{"encryption", put(str("hpke"), atEncryption), envelope.CodeUnsupported},
		{"payload nil", put(null(), atPayload), enc},
		{"payload a string", put(str("{}"), atPayload), enc},
		{"payload too long", put(bin(make([]byte, envelope.PayloadSizeMax+1)), atPayload), envelope.CodeSize},
		{"reply key", put(bin(seq(1, 32)), atReplyKey), envelope.CodeUnsupported},
		{"reply key empty", put(bin(nil), atReplyKey), envelope.CodeUnsupported},
		{"trace not a traceparent", put(str("trace"), atTrace), field},
		{"trace of zeros", put(str("00-"+strings.Repeat("0", 32)+"-b7ad6b7169203331-01"), atTrace), field},
		{"trace upper case", put(str("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), atTrace), field},
		{"parent zero", put(zero16, atParent), enc},
		{"parent a string", put(str("0123456789abcdef"), atParent), enc},
	}
	for _, name := range []string{
		"", "UPPER", ".hidden", "-dash", "a..b", "a/b", "a:b", "a{b}", "a b", "a\x00b", "a\nb", "a\u202eb", "\ufeffa", "café", "*",
		"../x", "a\u200bb", long,
	} {
		for at, what := range map[int]string{atTenant: "tenant", atQueue: "queue", atTask: "task"} {
			edits = append(edits, bodyEdit{fmt.Sprintf("%s %q", what, name), put(str(name), at), field})
		}
	}
	return edits
}

func keyID(k envelope.PrivateKey) []byte { id := k.Public().ID(); return id[:] }

func TestOpenRefusesBodies(t *testing.T) {
	good := bodyOf(t, mustSign(t, fullTask(), submitKey))
	open := func(body node) error {
		_, err := reader.Open(rawFrame(envelope.TaskType, body.bytes(), submitKey).bytes(), now)
		return err
	}
	if err := open(good); err != nil {
		t.Fatalf("the body that is edited here does not open: %v", err)
	}
	for _, row := range bodyEdits() {
		t.Run(row.name, func(t *testing.T) {
			err := open(row.edit(good))
			if code(err) != row.code {
				t.Errorf("got %v, want %s", err, row.code)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x00\u202e") {
				t.Errorf("the error quotes hostile text: %q", err)
			}
		})
	}
}

func TestOpenRefusesFrames(t *testing.T) {
	msg := mustSign(t, leastTask(), submitKey)
	good, err := parseAll(msg)
	if err != nil {
		t.Fatal(err)
	}
	body := good.at(2).data
	sig := good.at(3).at(0)
	resign := func(typ string, key envelope.PrivateKey) node { return rawFrame(typ, body, key) }
	const enc = envelope.CodeEncoding
	rows := []struct {
		name  string
		frame node
		code  string
	}{
		{"as it was", good, "ok"},
		{"version 0", good.with(num(0), 0), envelope.CodeVersion},
		{"version 2", good.with(num(2), 0), envelope.CodeVersion},
		{"version 2^63-1", good.with(num(math.MaxInt64), 0), envelope.CodeVersion},
		{"version 2, other arity", arr(num(2)), envelope.CodeVersion},
		{"version nil", good.with(null(), 0), envelope.CodeVersion},
		{"version a string", good.with(str("1"), 0), enc},
		{"empty frame", arr(), enc},
		{"three values", arr(good.items[:3]...), enc},
		{"five values", arr(append(append([]node(nil), good.items...), null())...), enc},
		{"a number", num(1), enc},
		{"type of a result", resign(envelope.ResultType, submitKey), envelope.CodeType},
		{"a result, by a worker", mustParse(t, mustSignResult(t, fullResult(), workerKey)), envelope.CodeType},
		{"type empty", resign("", submitKey), envelope.CodeType},
		{"type v2", resign("application/vnd.caisson.task.v2+msgpack", submitKey), envelope.CodeType},
		{"type with NUL", resign(envelope.TaskType+"\x00", submitKey), envelope.CodeType},
		{"type bytes", good.with(bin([]byte(envelope.TaskType)), 1), enc},
		{"body a string", good.with(str("abc"), 2), enc},
		{"body nil", good.with(null(), 2), enc},
		{"no signatures", good.with(arr(), 3), enc},
		{"signatures nil", good.with(null(), 3), enc},
		{"two signatures", good.with(arr(sig, resign(envelope.TaskType, otherKey).at(3).at(0)), 3), enc},
		{"the same signature twice", good.with(arr(sig, sig), 3), enc},
		{"five signatures", good.with(arr(sig, sig, sig, sig, sig), 3), enc},
		{"signature of two", good.with(arr(sig.items[:2]...), 3, 0), enc},
		{"signature of four", good.with(arr(append(append([]node(nil), sig.items...), null())...), 3, 0), enc},
		{"key id 15 bytes", good.with(bin(seq(1, 15)), 3, 0, 0), enc},
		{"key id 33 bytes", good.with(bin(seq(1, 33)), 3, 0, 0), enc},
		{"key id nil", good.with(null(), 3, 0, 0), enc},
		{"signature 63 bytes", good.with(bin(sig.at(1).data[:63]), 3, 0, 1), enc},
		{"signature 65 bytes", good.with(bin(append(bytes.Clone(sig.at(1).data), 0)), 3, 0, 1), enc},
		{"signature empty", good.with(bin(nil), 3, 0, 1), enc},
		{"batch path of a hash alone", good.with(arr(bin(seq(1, 32))), 3, 0, 2), enc},
		{"batch path too deep", good.with(arr(arr(arr())), 3, 0, 2), enc},
		{"signature zero", good.with(bin(make([]byte, 64)), 3, 0, 1), envelope.CodeSignature},
		{"signature of other body", good.with(rawFrame(envelope.TaskType, []byte("x"), submitKey).at(3), 3), envelope.CodeSignature},
		{"signature of other type", good.with(resign(envelope.ResultType, submitKey).at(3), 3), envelope.CodeSignature},
		{"another known key's id", good.with(bin(keyID(otherKey)), 3, 0, 0), envelope.CodeSignature},
		{"signed by another key", good.with(resign(envelope.TaskType, otherKey).at(3).at(0).at(1), 3, 0, 1), envelope.CodeSignature},
		{"another key, its own id", resign(envelope.TaskType, otherKey), envelope.CodeField},
		{"unknown key", resign(envelope.TaskType, unknownKey), envelope.CodeKeyUnknown},
		{"publish key", resign(envelope.TaskType, publishKey), envelope.CodeKeyPurpose},
		{"worker key", resign(envelope.TaskType, workerKey), envelope.CodeKeyPurpose},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if _, err := reader.Open(row.frame.bytes(), now); code(err) != row.code {
				t.Errorf("got %v, want %s", err, row.code)
			}
		})
	}
}

func mustParse(t testing.TB, b []byte) node {
	t.Helper()
	v, err := parseAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A lying keyring answers every question with one key.
type lying struct{ key envelope.PublicKey }

func (l lying) SubmitKey(envelope.KeyID) (envelope.PublicKey, bool) { return l.key, true }

func TestReadersWithoutSettingsRefuse(t *testing.T) {
	msg := mustSign(t, leastTask(), submitKey)
	for name, row := range map[string]struct {
		reader envelope.Reader
		code   string
	}{
		"no keyring":             {envelope.Reader{Audience: "prod"}, envelope.CodeKeyUnknown},
		"no audience":            {envelope.Reader{Keys: keys}, envelope.CodeAudience},
		"keyring with zero keys": {envelope.Reader{Keys: lying{}, Audience: "prod"}, envelope.CodeKeyUnknown},
		"keyring with one key":   {envelope.Reader{Keys: lying{otherKey.Public()}, Audience: "prod"}, envelope.CodeKeyUnknown},
	} {
		if _, err := row.reader.Open(msg, now); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	if _, err := envelope.OpenResult(mustSignResult(t, fullResult(), workerKey), nil); code(err) != envelope.CodeKeyUnknown {
		t.Errorf("no worker keyring: %v", err)
	}
}

func TestTimeIsJudgedByTheReader(t *testing.T) {
	task := leastTask()
	msg := mustSign(t, task, submitKey)
	for name, row := range map[string]struct {
		now  time.Time
		code string
	}{
		"60 s before issued":        {task.Issued.Add(-60 * time.Second), "ok"},
		"60.001 s before issued":    {task.Issued.Add(-60001 * time.Millisecond), envelope.CodeNotYet},
		"1970":                      {time.Unix(0, 0), envelope.CodeNotYet},
		"zero time":                 {time.Time{}, envelope.CodeNotYet},
		"a moment before it's over": {task.Expires.Add(-time.Nanosecond), "ok"},
		"when it's over":            {task.Expires, envelope.CodeExpired},
		"long after":                {task.Expires.AddDate(500, 0, 0), envelope.CodeExpired},
	} {
		if _, err := reader.Open(msg, row.now); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
}

// Sign refuses what Open would, with the same code: every way a Task can be wrong.
func TestSignRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*envelope.Task)
		code string
	}{
		"no id":                  {func(t *envelope.Task) { t.ID = envelope.MessageID{} }, envelope.CodeField},
		"no audience":            {func(t *envelope.Task) { t.Audience = "" }, envelope.CodeField},
		"queue of many bytes":    {func(t *envelope.Task) { t.Queue = strings.Repeat("q", 65) }, envelope.CodeField},
		"no issued":              {func(t *envelope.Task) { t.Issued = time.Time{} }, envelope.CodeField},
		"issued 1969":            {func(t *envelope.Task) { t.Issued = time.Unix(-1, 0) }, envelope.CodeField},
		"no expires":             {func(t *envelope.Task) { t.Expires = time.Time{} }, envelope.CodeField},
		"25 h":                   {func(t *envelope.Task) { t.Expires = t.Issued.Add(25 * time.Hour) }, envelope.CodeTTL},
		"expires with issued":    {func(t *envelope.Task) { t.Expires, t.NotBefore = t.Issued, time.Time{} }, envelope.CodeField},
		"not before is 1970":     {func(t *envelope.Task) { t.NotBefore = time.Unix(0, 0) }, envelope.CodeField},
		"not before too late":    {func(t *envelope.Task) { t.NotBefore = t.Expires }, envelope.CodeField},
		"negative attempts":      {func(t *envelope.Task) { t.Attempts = -1 }, envelope.CodeField},
		"negative memory":        {func(t *envelope.Task) { t.Limits.Memory = -1 }, envelope.CodeField},
		"negative stack":         {func(t *envelope.Task) { t.Limits.Stack = -1 }, envelope.CodeField},
		"negative result":        {func(t *envelope.Task) { t.Limits.Result = -1 }, envelope.CodeField},
		"negative calls":         {func(t *envelope.Task) { t.Limits.Calls = math.MinInt64 }, envelope.CodeField},
		"negative wall":          {func(t *envelope.Task) { t.Limits.Wall = -time.Second }, envelope.CodeField},
		"wall in microseconds":   {func(t *envelope.Task) { t.Limits.Wall = 1500 * time.Microsecond }, envelope.CodeField},
		"cpu above":              {func(t *envelope.Task) { t.Limits.CPU = 25 * time.Hour }, envelope.CodeField},
		"negative priority":      {func(t *envelope.Task) { t.Priority = -1 }, envelope.CodeField},
		"caps without narrowing": {func(t *envelope.Task) { t.Narrowed = false }, envelope.CodeField},
		"space after a cap":      {func(t *envelope.Task) { t.Caps = []string{"log "} }, envelope.CodeField},
		"unique key alone":       {func(t *envelope.Task) { t.UniqueWindow = 0 }, envelope.CodeField},
		"unique window alone":    {func(t *envelope.Task) { t.UniqueKey = "" }, envelope.CodeField},
		"unique window 999 ms":   {func(t *envelope.Task) { t.UniqueWindow = 999 * time.Millisecond }, envelope.CodeField},
		"after without plan":     {func(t *envelope.Task) { t.After = []envelope.MessageID{{1}} }, envelope.CodeField},
		"encryption":             {func(t *envelope.Task) { t.Encryption = "hpke" }, envelope.CodeUnsupported},
		"reply key":              {func(t *envelope.Task) { t.ReplyKey = []byte{} }, envelope.CodeUnsupported},
		"payload":                {func(t *envelope.Task) { t.Payload = make([]byte, envelope.PayloadSizeMax+1) }, envelope.CodeSize},
		"trace":                  {func(t *envelope.Task) { t.Trace = "x" }, envelope.CodeField},
		"nothing":                {func(t *envelope.Task) {}, "ok"},
	} {
		task := fullTask()
		row.edit(&task)
		if _, err := envelope.Sign(task, submitKey); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	for _, key := range []envelope.PrivateKey{publishKey, workerKey, testKey(envelope.Operate, 1)} {
		if _, err := envelope.Sign(leastTask(), key); code(err) != envelope.CodeKeyPurpose {
			t.Errorf("signed with a %s key: %v", key.Purpose(), err)
		}
	}
}

func TestInspect(t *testing.T) {
	msg := mustSign(t, fullTask(), submitKey)
	u := reader.Inspect(msg, now)
	if u.Fault != nil || !u.FrameRead || !u.KeyKnown || !u.Signed || !u.BodyRead || u.Task.Task != "image.thumbnail" {
		t.Errorf("a good message: %+v", u)
	}
	if u.Digest != envelope.DigestOf(msg) || u.Size != len(msg) || u.Key != submitKey.Public().ID() {
		t.Errorf("a good message: %+v", u)
	}
	u = reader.Inspect(mustSign(t, fullTask(), unknownKey), now)
	if code(u.Fault) != envelope.CodeKeyUnknown || u.KeyKnown || u.Signed || !u.BodyRead {
		t.Errorf("an unknown key: %+v", u)
	}
	forged := mustParse(t, msg).with(bin(make([]byte, 64)), 3, 0, 1).bytes()
	u = reader.Inspect(forged, now)
	if code(u.Fault) != envelope.CodeSignature || !u.KeyKnown || u.Signed || !u.BodyRead || u.Task.Queue != "jobs" {
		t.Errorf("a forged message: %+v", u)
	}
	u = reader.Inspect(msg, now.AddDate(1, 0, 0))
	if code(u.Fault) != envelope.CodeExpired || !u.Signed || !u.BodyRead {
		t.Errorf("an expired message: %+v", u)
	}
	u = reader.Inspect([]byte("hello"), now)
	if code(u.Fault) != envelope.CodeEncoding || u.FrameRead || u.BodyRead || u.Digest.IsZero() {
		t.Errorf("no message: %+v", u)
	}
	u = reader.Inspect(make([]byte, envelope.MessageSizeMax+1), now)
	if code(u.Fault) != envelope.CodeSize || u.FrameRead {
		t.Errorf("too long: %+v", u)
	}
}
