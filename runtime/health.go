package runtime

import (
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

// brokerHealth remembers whether the broker can be used, so that a change is said once and not at each attempt.
type brokerHealth struct {
	mu  sync.Mutex
	why string // "" while it can
}

// down records a failed act.
func (b *brokerHealth) down(log hclog.Logger, act string, err error) {
	why := "broker: " + act + " fails"
	var u *queue.UnavailableError
	if errors.As(err, &u) {
		why = "broker unavailable: " + string(u.Reason)
	}
	b.mu.Lock()
	changed := b.why != why
	b.why = why
	b.mu.Unlock()
	if changed {
		log.Warn("intake paused", "reason", why, "act", act, "error", err)
	}
}

// up records that an act went well.
func (b *brokerHealth) up(log hclog.Logger) {
	b.mu.Lock()
	changed := b.why != ""
	b.why = ""
	b.mu.Unlock()
	if changed {
		log.Info("intake resumed")
	}
}

// reason says why the broker cannot be used; "" when it can.
func (b *brokerHealth) reason() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}
