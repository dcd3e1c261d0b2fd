package runtime

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// oftenEvery is how often a line of one kind is written that a broker or a sender without a key can cause for each message.
const oftenEvery = time.Second

// An often writes lines of which there may be thousands at once, for it is a broker's trouble or somebody without a key that causes them: of each kind the
// first at once, and a second later how many more there were.
type often struct {
	log hclog.Logger

	mu   sync.Mutex
	more map[string]*heldBack // by phrase; the phrases are ours, and few
}

// heldBack is what was not written of one kind since the last line.
type heldBack struct {
	count int
	last  []any // the pairs of the last of them
	timer *time.Timer
}

func newOften(log hclog.Logger) *often { return &often{log: log, more: map[string]*heldBack{}} }

// warn writes a line, or counts it. Those of one phrase and code, which may be "", are of one kind.
func (o *often) warn(phrase, code string, pairs ...any) {
	kind := phrase + "\n" + code
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.more[kind]; h != nil {
		h.count, h.last = h.count+1, pairs
		return
	}
	o.log.Warn(phrase, pairs...)
	h := &heldBack{}
	h.timer = time.AfterFunc(oftenEvery, func() { // stopped by flush; it waits for nothing but the lock
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.more[kind] == h {
			o.tell(phrase, kind)
		}
	})
	o.more[kind] = h
}

// tell writes how many of a kind were held back. The lock is held.
func (o *often) tell(phrase, kind string) {
	h := o.more[kind]
	delete(o.more, kind)
	if h.count > 0 {
		o.log.Warn(phrase, append([]any{"more", h.count}, h.last...)...)
	}
}

// flush writes what is held back.
func (o *often) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for kind, h := range o.more {
		h.timer.Stop()
		phrase, _, _ := strings.Cut(kind, "\n")
		o.tell(phrase, kind)
	}
}
