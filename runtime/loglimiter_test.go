package runtime

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestLogLimiter: of thousands of equal lines the first is written, and a second later how many more there were.
func TestLogLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newLogLimiter(hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true}))
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := strings.Join(strings.Fields(out.String()), " "); got != want {
				t.Errorf("%s: %s; want %s", what, got, want)
			}
			out.Reset()
		}
		for i := range 16967 {
			l.warn("written again", "", "id", i)
		}
		l.warn("refused", "envelope.format", "id", "a")
		l.warn("refused", "envelope.signature", "id", "b")
		expect("the first of each kind", "[WARN] written again: id=0 [WARN] refused: id=a [WARN] refused: id=b")
		time.Sleep(logLimitEvery)
		expect("a second later", "[WARN] written again: more=16966 id=16966")
		l.warn("written again", "", "id", 7)
		expect("after that", "[WARN] written again: id=7")
		l.warn("written again", "", "id", 8)
		l.flush()
		expect("at the end", "[WARN] written again: more=1 id=8")
		time.Sleep(2 * logLimitEvery)
		expect("and no more", "")
	})
}
