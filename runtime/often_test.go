package runtime

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Of thousands of lines that trouble causes at once there is the first, and a second later their number.
func TestOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := newOften(hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true}))
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			o.mu.Lock()
			defer o.mu.Unlock()
			if got := strings.Join(strings.Fields(out.String()), " "); got != want {
				t.Errorf("%s: %s; want %s", what, got, want)
			}
			out.Reset()
		}
		for i := range 16967 {
			o.warn("written again", "", "id", i)
		}
		o.warn("refused", "envelope.format", "id", "a")
		o.warn("refused", "envelope.signature", "id", "b")
		expect("the first of each kind", "[WARN] written again: id=0 [WARN] refused: id=a [WARN] refused: id=b")
		time.Sleep(oftenEvery)
		expect("a second later", "[WARN] written again: more=16966 id=16966")
		o.warn("written again", "", "id", 7)
		expect("after that", "[WARN] written again: id=7")
		o.warn("written again", "", "id", 8)
		o.flush()
		expect("at the end", "[WARN] written again: more=1 id=8")
		time.Sleep(2 * oftenEvery)
		expect("and no more", "")
	})
}
