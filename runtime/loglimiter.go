package runtime

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// logLimitEvery is the least time between two log lines of one kind.
const logLimitEvery = time.Second

// A logLimiter writes lines that a broken broker, or a sender without a key, can cause thousands of times a second: the first
// of each kind at once, and a second later how many more there were.
type logLimiter struct {
	log hclog.Logger

	mu    sync.Mutex
	kinds map[string]*suppressed // by phrase and code; both are ours, and few
}

// suppressed counts the lines of one kind that were not written since the last one that was.
type suppressed struct {
	count int
	last  []any // the pairs of the last of them
	timer *time.Timer
}

func newLogLimiter(log hclog.Logger) *logLimiter {
	return &logLimiter{log: log, kinds: map[string]*suppressed{}}
}

// warn writes a line, or counts it. Lines of one phrase and code are of one kind; code may be "".
func (l *logLimiter) warn(phrase, code string, pairs ...any) {
	kind := phrase + "\n" + code
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.kinds[kind]; s != nil {
		s.count, s.last = s.count+1, pairs
		return
	}
	l.log.Warn(phrase, pairs...)
	s := &suppressed{}
	s.timer = time.AfterFunc(logLimitEvery, func() { // stopped by flush; it waits for nothing but the lock
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.kinds[kind] == s {
			l.summarise(phrase, kind)
		}
	})
	l.kinds[kind] = s
}

// summarise writes how many lines of a kind were suppressed. l.mu is held.
func (l *logLimiter) summarise(phrase, kind string) {
	s := l.kinds[kind]
	delete(l.kinds, kind)
	if s.count > 0 {
		l.log.Warn(phrase, append([]any{"more", s.count}, s.last...)...)
	}
}

// flush writes what is suppressed, at the worker's end.
func (l *logLimiter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, s := range l.kinds {
		s.timer.Stop()
		phrase, _, _ := strings.Cut(kind, "\n")
		l.summarise(phrase, kind)
	}
}
