package envelope_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/queue/envelope"
)

func TestSignedResultsOpen(t *testing.T) {
	for name, r := range map[string]envelope.Result{"least": leastResult(), "full": fullResult(), "of a step": stepResult()} {
		b := mustSignResult(t, r, workerKey)
		got, err := envelope.OpenResult(b, keys)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := r
		want.Worker = workerKey.Public().ID()
		if want.Output == nil {
			want.Output = []byte{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
		if !bytes.Equal(mustSignResult(t, got, workerKey), b) {
			t.Errorf("%s: signed again it is other bytes", name)
		}
	}
}

func TestOpenResultRefuses(t *testing.T) {
	b := mustSignResult(t, fullResult(), workerKey)
	body := bodyOf(t, b)
	signed := func(edit func(node) node) []byte {
		return rawFrame(envelope.ResultType, edit(body).bytes(), workerKey).bytes()
	}
	const enc, field = envelope.CodeEncoding, envelope.CodeField
	rows := []struct {
		name string
		b    []byte
		code string
	}{
		{"as it was", signed(func(b node) node { return b }), "ok"},
		{"empty", nil, enc},
		{"a task", mustSign(t, leastTask(), submitKey), envelope.CodeType},
		{"too long", make([]byte, envelope.ResultSizeMax+1), envelope.CodeSize},
		{"by a submit key", rawFrame(envelope.ResultType, body.bytes(), submitKey).bytes(), envelope.CodeKeyPurpose},
		{"by an unknown worker", rawFrame(envelope.ResultType, body.bytes(), testKey(envelope.Worker, 77)).bytes(), envelope.CodeKeyUnknown},
		{"forged", mustParse(t, b).with(bin(make([]byte, 64)), 3, 0, 1).bytes(), envelope.CodeSignature},
		{"one value less", signed(func(b node) node { b.items = b.items[:16]; return b }), enc},
		{"one value more", signed(func(b node) node { b.items = append(b.items, null()); return b }), enc},
		{"id zero", signed(put(bin(make([]byte, 16)), 0)), field},
		{"message zero", signed(put(bin(make([]byte, 32)), 1)), field},
		{"message nil", signed(put(null(), 1)), enc},
		{"another worker named", signed(put(bin(seq(1, 16)), 2)), field},
		{"audience with NUL", signed(put(str("pr\x00d"), 3)), field},
		{"tenant empty", signed(put(str(""), 4)), field},
		{"queue with colon", signed(put(str("a:b"), 5)), field},
		{"task with override", signed(put(str("a\u202e"), 6)), field},
		{"module zero", signed(put(bin(make([]byte, 32)), 7)), enc},
		{"status unknown", signed(put(str("maybe"), 8)), field},
		{"status empty", signed(put(str(""), 8)), field},
		{"done with a code", signed(put(str("task.error"), 9)), field},
		{"failed without a code", signed(put(str("failed"), 8)), field},
		{"code with a space", signed(func(b node) node { return b.with(str("failed"), 8).with(str("a b"), 9) }), field},
		{"code too long", signed(func(b node) node {
			return b.with(str("failed"), 8).with(str(strings.Repeat("c", 65)), 9)
		}), field},
		{"attempt above", signed(put(num(envelope.AttemptsMax+1), 10)), field},
		{"attempt 2^63-1", signed(put(num(math.MaxInt64), 10)), field},
		{"started 2^63-1", signed(put(num(math.MaxInt64), 11)), field},
		{"finished zero", signed(put(num(0), 12)), field},
		{"content type bidi", signed(put(str("text/\u202eplain"), 13)), field},
		{"encryption", signed(put(str("hpke"), 14)), envelope.CodeUnsupported},
		{"output nil", signed(put(null(), 15)), enc},
		{"output too long", rawFrame(envelope.ResultType,
			body.with(bin(make([]byte, envelope.OutputSizeMax+1)), 15).bytes(), workerKey).bytes(), envelope.CodeSize},
		{"error with escape", signed(put(str("\x1b[2J"), 16)), field},
		{"error with carriage return", signed(put(str("ok\rno"), 16)), field},
		{"error with override", signed(put(str("\u202e"), 16)), field},
		{"error too long", signed(put(str(strings.Repeat("e", envelope.ErrorSizeMax+1)), 16)), field},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if _, err := envelope.OpenResult(row.b, keys); code(err) != row.code {
				t.Errorf("got %v, want %s", err, row.code)
			}
		})
	}
}

func TestSignResultRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*envelope.Result)
		code string
	}{
		"nothing":        {func(*envelope.Result) {}, "ok"},
		"no id":          {func(r *envelope.Result) { r.ID = envelope.MessageID{} }, envelope.CodeField},
		"no message":     {func(r *envelope.Result) { r.Message = envelope.Digest{} }, envelope.CodeField},
		"no tenant":      {func(r *envelope.Result) { r.Tenant = "" }, envelope.CodeField},
		"no status":      {func(r *envelope.Result) { r.Status = "" }, envelope.CodeField},
		"long code":      {func(r *envelope.Result) { r.Code = strings.Repeat("c", envelope.CodeSizeMax+1) }, envelope.CodeField},
		"no code":        {func(r *envelope.Result) { r.Status = envelope.StatusDead }, envelope.CodeField},
		"bad attempt":    {func(r *envelope.Result) { r.Attempt = -1 }, envelope.CodeField},
		"no finish":      {func(r *envelope.Result) { r.Finished = time.Time{} }, envelope.CodeField},
		"started 1970":   {func(r *envelope.Result) { r.Started = time.Unix(0, 0) }, envelope.CodeField},
		"bad error text": {func(r *envelope.Result) { r.Error = "\xff" }, envelope.CodeField},
		"encryption":     {func(r *envelope.Result) { r.Encryption = "x" }, envelope.CodeUnsupported},
		"long output":    {func(r *envelope.Result) { r.Output = make([]byte, envelope.OutputSizeMax+1) }, envelope.CodeSize},
	} {
		r := fullResult()
		row.edit(&r)
		if _, err := envelope.SignResult(r, workerKey); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	if _, err := envelope.SignResult(fullResult(), submitKey); code(err) != envelope.CodeKeyPurpose {
		t.Errorf("signed with a submit key: %v", err)
	}
}

func TestErrorTextFitsAlways(t *testing.T) {
	rows := map[string]string{
		"plain":                  "plain",
		"two\nlines\t":           "two\nlines\t",
		"naïve 日本":               "naïve 日本",
		"\x1b[31mred":            `\x1b[31mred`,
		"a\xffb":                 `a\xffb`,
		"\u202eevil":             `\xe2\x80\xaeevil`,
		"a\r\nb\x00":             "a" + `\x0d` + "\nb" + `\x00`,
		"\u0085\u2028\U000e0041": `\xc2\x85\xe2\x80\xa8\xf3\xa0\x81\x81`,
	}
	for in, want := range rows {
		if got := envelope.ErrorText(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{
		strings.Repeat("e", envelope.ErrorSizeMax), strings.Repeat("e", envelope.ErrorSizeMax+1),
		strings.Repeat("é", envelope.ErrorSizeMax), strings.Repeat("\xff", envelope.ErrorSizeMax), strings.Repeat("日", 1<<20),
	} {
		r := fullResult()
		if r.Error = envelope.ErrorText(in); len(r.Error) < min(len(in), envelope.ErrorSizeMax-8) || !utf8.ValidString(r.Error) {
			t.Errorf("%d bytes become %d", len(in), len(r.Error))
		}
		mustSignResult(t, r, workerKey)
	}
}
