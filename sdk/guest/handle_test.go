package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host/abi"
)

func TestVerdict(t *testing.T) {
	cause := errors.New("the cause")
	denied := &CallError{Call: "kv get", On: "k", Err: ErrDenied}
	rows := []struct {
		name   string
		err    error
		status abi.Status
		kind   string
		after  string
		text   string
	}{
		{"plain", cause, 1, "retry", "0", "the cause"},
		{"retry", Retry(cause, 90*time.Second), 1, "retry", "90000", "the cause"},
		{"retry soon", Retry(cause, time.Nanosecond), 1, "retry", "1", "the cause"},
		{"retry the past", Retry(cause, -time.Second), 1, "retry", "0", "the cause"},
		{"retry in a year", Retry(cause, 365*24*time.Hour), 1, "retry", "2592000000", "the cause"},
		{"retry never", Retry(cause, 1<<63-1), 1, "retry", "2592000000", "the cause"},
		{"retry the past, by hand", &RetryError{Err: cause, After: -time.Hour}, 1, "retry", "0", "the cause"},
		{"retry wrapped", fmt.Errorf("on top: %w", Retry(cause, time.Second)), 1, "retry", "1000", "on top: the cause"},
		{"fail", Fail(cause), 65, "fail", "0", "the cause"},
		{"fail wrapped", fmt.Errorf("on top: %w", Fail(cause)), 65, "fail", "0", "on top: the cause"},
		{"denied", denied, 65, "fail", "0", `guest: kv get "k": denied`},
		{"retry, then given up", Fail(fmt.Errorf("tried: %w", Retry(cause, time.Second))), 65, "fail", "0", "tried: the cause"},
		{"final, but not to us", Retry(Fail(cause), time.Second), 1, "retry", "1000", "the cause"},
		{"denied, retry asked for", Retry(denied, 0), 1, "retry", "0", `guest: kv get "k": denied`},
		{"unavailable", &CallError{Call: "kv get", On: "k", Err: ErrUnavailable}, 1, "retry", "0", `guest: kv get "k": unavailable`},
		{"long", Fail(errors.New(strings.Repeat("é", abi.ErrorSizeMax))), 65, "fail", "0", strings.Repeat("é", abi.ErrorSizeMax/2)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			status, report := verdict(row.err)
			fields, err := unframe(report)
			if err != nil || len(fields) != 3 {
				t.Fatalf("report %q: %d fields, %v", report, len(fields), err)
			}
			if status != row.status || string(fields[0]) != row.kind || string(fields[1]) != row.after || string(fields[2]) != row.text {
				t.Errorf("status %d, report %q", status, fields)
			}
		})
	}
	if status, report := verdict(nil); status != abi.StatusDone || report != nil {
		t.Errorf("no error: status %d, report %q", status, report)
	}
}

func TestNilStaysNil(t *testing.T) {
	if err := Retry(nil, time.Second); err != nil {
		t.Errorf("Retry(nil) = %v", err)
	}
	if err := Fail(nil); err != nil {
		t.Errorf("Fail(nil) = %v", err)
	}
}

type sizes struct {
	Name string `json:"name"`
	Size struct {
		Width uint8 `json:"width"`
	} `json:"size"`
}

func TestDecode(t *testing.T) {
	rows := []struct{ name, input, want string }{
		{"good", `{"name":"a","size":{"width":3}}`, ""},
		{"null", `null`, ""},
		{"empty", ``, "guest: input: not valid JSON"},
		{"cut short", `{"name":"a"`, "guest: input: not valid JSON (at byte 11)"},
		{"two values", `{} {}`, "guest: input: not valid JSON (at byte 4)"},
		{"wrong type", `{"name":7}`, "guest: input: field name: a JSON number does not fit string (at byte 9)"},
		{"out of range", `{"size":{"width":4711}}`, "guest: input: field size.width: a JSON number does not fit uint8 (at byte 21)"},
		{"array", `[1]`, "guest: input: a JSON array does not fit guest.sizes (at byte 1)"},
		{"secret is not repeated", `{"size":{"width":"hunter2"}}`, "guest: input: field size.width: a JSON string does not fit uint8 (at byte 26)"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := decode[sizes]([]byte(row.input))
			if got := fmt.Sprint(err); row.want == "" && err != nil || row.want != "" && got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
			var fault *InputError
			if err != nil && !errors.As(err, &fault) {
				t.Errorf("%T is not an *InputError", err)
			}
		})
	}
}

func TestCodec(t *testing.T) {
	t.Run("bytes pass as they are", func(t *testing.T) {
		in, err := decode[[]byte]([]byte("\x00not JSON"))
		if err != nil || string(in) != "\x00not JSON" {
			t.Errorf("decode: %q, %v", in, err)
		}
		out, err := encode([]byte("\x00not JSON"))
		if err != nil || string(out) != "\x00not JSON" {
			t.Errorf("encode: %q, %v", out, err)
		}
	})
	t.Run("raw JSON is JSON", func(t *testing.T) {
		if in, err := decode[json.RawMessage]([]byte(`{"a":1}`)); err != nil || string(in) != `{"a":1}` {
			t.Errorf("decode: %q, %v", in, err)
		}
		if _, err := decode[json.RawMessage]([]byte(`{`)); err == nil {
			t.Error("decode: half a value was taken")
		}
	})
	t.Run("no input", func(t *testing.T) {
		if _, err := decode[struct{}](nil); err != nil {
			t.Errorf("decode: %v", err)
		}
		if _, err := decode[struct{}]([]byte("null")); err != nil {
			t.Errorf("decode: %v", err)
		}
	})
	t.Run("no JSON for it", func(t *testing.T) {
		_, err := encode(func() {})
		var fail *FailError
		if !errors.As(err, &fail) {
			t.Errorf("encode: %v is not final", err)
		}
	})
}

// register puts f in the place of the task's function until the test ends.
func register[In, Out any](t *testing.T, f func(context.Context, In) (Out, error)) {
	t.Helper()
	t.Cleanup(func() { handler = nil })
	Handle(f)
}

func TestHandle(t *testing.T) {
	register(t, func(_ context.Context, in sizes) (map[string]int, error) {
		if in.Name == "" {
			return nil, errors.New("no name")
		}
		return map[string]int{in.Name: int(in.Size.Width)}, nil
	})
	out, err := handler(t.Context(), []byte(`{"name":"a","size":{"width":3}}`))
	if err != nil || !bytes.Equal(out, []byte(`{"a":3}`)) {
		t.Errorf("good input: %q, %v", out, err)
	}
	if _, err = handler(t.Context(), []byte(`{}`)); err == nil || err.Error() != "no name" {
		t.Errorf("the function's error: %v", err)
	}
	var fail *FailError
	if _, err = handler(t.Context(), []byte(`{`)); !errors.As(err, &fail) {
		t.Errorf("bad input: %v is not final", err)
	}
	defer func() {
		if v := recover(); v == nil {
			t.Error("a second Handle was taken")
		}
	}()
	Handle(func(context.Context, []byte) ([]byte, error) { return nil, nil })
}

func TestHandleNil(t *testing.T) {
	defer func() {
		if v := recover(); v == nil {
			t.Error("a nil function was taken")
		}
	}()
	Handle[[]byte, []byte](nil)
}

func TestNoHandler(t *testing.T) {
	_, err := perform()
	status, report := verdict(err)
	if status != abi.StatusFailed || !strings.Contains(string(report), "call guest.Handle from init") {
		t.Errorf("status %d, report %q", status, report)
	}
}

func TestOutside(t *testing.T) {
	register(t, func(context.Context, []byte) ([]byte, error) { return nil, nil })
	if _, err := perform(); !errors.Is(err, ErrOutside) {
		t.Errorf("perform: %v", err)
	}
	ctx := t.Context()
	_, getErr := KV.Get(ctx, "k")
	_, listErr := KV.List(ctx, "p", "", 10)
	_, httpErr := HTTP.Get(ctx, "https://user:pw@api.example.com/a?token=secret")
	for name, err := range map[string]error{
		"kv get": getErr, "kv list": listErr, "kv put": KV.Put(ctx, "k", nil), "kv delete": KV.Delete(ctx, "k"),
		"kv put for": KV.PutFor(ctx, "k", nil, time.Second), "http GET": httpErr,
	} {
		var call *CallError
		if !errors.Is(err, ErrOutside) || !errors.As(err, &call) || !strings.HasPrefix(name, call.Call) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := `guest: http GET "https://api.example.com/a": runs only as a task`; httpErr.Error() != want {
		t.Errorf("got %q, want %q", httpErr, want)
	}
}

func TestCallsRefuseEarly(t *testing.T) {
	if err := KV.PutFor(t.Context(), "k", nil, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("no time to live: %v", err)
	}
	if err := KV.Put(t.Context(), "k", make([]byte, abi.RequestSizeMax)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large value: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := KV.Get(ctx, "k"); !errors.Is(err, why) {
		t.Errorf("ended context: %v", err)
	}
}

func TestErrorOf(t *testing.T) {
	for code, want := range map[abi.Code]error{
		abi.Denied: ErrDenied, abi.NotFound: ErrNotFound, abi.Invalid: ErrInvalid, abi.TooLarge: ErrTooLarge, abi.Limit: ErrLimit,
		abi.Unavailable: ErrUnavailable, abi.Timeout: ErrTimeout, abi.TooSmall: ErrTooLarge, abi.Quota: ErrQuota, -99: errUnknownCode,
	} {
		if got := errorOf(code); !errors.Is(got, want) {
			t.Errorf("code %d: %v, want %v", code, got, want)
		}
	}
}

func TestResponseOf(t *testing.T) {
	fields := func(s ...string) [][]byte {
		out := make([][]byte, len(s))
		for i := range s {
			out[i] = []byte(s[i])
		}
		return out
	}
	r, ok := responseOf(fields("404", "gone", "Content-Type", "text/plain", "X-A", "1"))
	if !ok || r.Status != 404 || string(r.Body) != "gone" || r.Header("content-type") != "text/plain" || r.Header("none") != "" {
		t.Errorf("got %+v, %v", r, ok)
	}
	for name, bad := range map[string][][]byte{
		"empty": nil, "no body": fields("200"), "half a header": fields("200", "", "X"), "status": fields("ok", ""),
	} {
		if _, ok := responseOf(bad); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

// The test binary stands in for a task that is started on its own: see TestMain.
func TestMainOutside(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "GUEST_TEST_MAIN=1")
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || string(output) != "guest: input: this program runs only as a task; build it with: caisson module build\n" {
		t.Errorf("got %q, %v", output, err)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("GUEST_TEST_MAIN") != "" {
		Handle(func(context.Context, []byte) ([]byte, error) { return nil, nil })
		Main()
	}
	os.Exit(m.Run())
}
