package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// Modes remembers, over restarts, the newest order to pause or resume of each queue. So somebody with write access to the broker can
// neither bring back an older order that has not expired, nor end a pause by deleting it, while a worker restarts.
// Implementations are safe for concurrent use.
type Modes interface {
	// Newest returns what Keep stored last for the queue, the zero Mode when nothing.
	Newest(queue string) Mode
	// Keep replaces it. After an error it is not remembered over a restart.
	Keep(queue string, m Mode) error
}

// A Mode is an order to pause or resume, with its time and id. Those count even when the order has expired or its signer's key is gone:
// older orders stay without effect.
type Mode struct {
	Issued time.Time
	ID     envelope.MessageID
	Order  []byte // as it was signed; verified again at each start of a worker
}

// than compares m with other: above 0 if m is newer, that is, was issued later or, in the same millisecond, has the larger id. So all
// workers agree, whichever order they hear first. 0: they are the same.
// Source: docs/reference/envelope.md, "Body of an order".
func (m Mode) than(other Mode) int {
	if c := m.Issued.Compare(other.Issued); c != 0 {
		return c
	}
	return bytes.Compare(m.ID[:], other.ID[:])
}

// modeOf returns a as a Mode. Its bytes are kept.
func modeOf(a policy.AuthorisedOrder, b []byte) Mode {
	o := a.Order()
	return Mode{Issued: o.Issued, ID: o.ID, Order: b}
}

// modesSizeMax bounds the file read by OpenModes: a thousand queues, each with the largest order.
const modesSizeMax = 8 << 20

// ModesFile is a Modes in one JSON file. It drops entries that are older than any order can live.
type ModesFile struct {
	path string

	mu    sync.Mutex
	modes map[string]Mode
}

var _ Modes = (*ModesFile)(nil)

// modesText is the content of the file, by queue.
type modesText map[string]modeText

type modeText struct {
	Issued int64  `json:"issued"` // milliseconds since 1970
	ID     string `json:"id"`
	Order  []byte `json:"order"`
}

// OpenModes reads the file at path, or starts an empty one when there is none.
//
// Errors: a file that cannot be read or is not of that form. It is never taken for empty, since that would let an older
// order count again.
func OpenModes(path string) (*ModesFile, error) {
	f := &ModesFile{path: path, modes: map[string]Mode{}}
	text, err := readState(path, modesSizeMax)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("worker: modes of queues: %w", err)
	}
	if f.modes, err = parseModes(text); err != nil {
		return nil, fmt.Errorf("worker: modes of queues: %s: %v: restore it, or remove it to trust the broker as it is", path, err)
	}
	return f, nil
}

func parseModes(text []byte) (map[string]Mode, error) {
	var parsed modesText
	if err := json.Unmarshal(text, &parsed); err != nil || parsed == nil {
		return nil, errors.New("is not an object of queues and orders")
	}
	modes := make(map[string]Mode, len(parsed))
	for queue, t := range parsed {
		id, err := envelope.ParseMessageID(t.ID)
		if err != nil || envelope.CheckName("queue", queue) != nil || t.Issued <= 0 || len(t.Order) == 0 || len(t.Order) > envelope.OrderSizeMax {
			return nil, fmt.Errorf("what it says of queue %q is no order", queue)
		}
		modes[queue] = Mode{Issued: time.UnixMilli(t.Issued).UTC(), ID: id, Order: t.Order}
	}
	return modes, nil
}

// Newest implements Modes.
func (f *ModesFile) Newest(queue string) Mode {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.modes[queue]
}

// Keep implements Modes. The file is replaced whole, so that a crash leaves the old one or the new one.
func (f *ModesFile) Keep(queue string, m Mode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modes[queue] = m
	text := modesText{}
	for name, kept := range f.modes {
		if m.Issued.Sub(kept.Issued) > envelope.ModeLifetimeMax+envelope.SkewMax {
			delete(f.modes, name) // all orders older than it have expired
			continue
		}
		text[name] = modeText{kept.Issued.UnixMilli(), kept.ID.String(), kept.Order}
	}
	data, err := json.Marshal(text)
	if err == nil {
		err = replaceState(f.path, data)
	}
	if err != nil {
		return fmt.Errorf("worker: modes of queues: %w", err)
	}
	return nil
}

// recallModes restores the modes of the last run: a pause holds even if the broker has lost it.
func (w *Worker) recallModes() {
	if w.cfg.Modes == nil {
		return
	}
	for _, p := range w.posts {
		m := w.cfg.Modes.Newest(p.name)
		if m.Issued.IsZero() {
			continue
		}
		p.orders.newest = m
		a, err := w.order(p, m.Order)
		if err != nil {
			continue // it has expired, or its signer may no longer give orders; older ones still do not count
		}
		p.orders.setMode(a, m)
		w.log.Info("queue was "+string(a.Order().Act)+"d when the worker ended", "queue", p.name, "order", m.ID.String(), "until", a.Order().Expires)
	}
}

// hearMode obeys an order to pause or resume, unless a newer one is known.
func (w *Worker) hearMode(p *post, a policy.AuthorisedOrder, b []byte) {
	o := a.Order()
	m := modeOf(a, b)
	taken, older := p.orders.setMode(a, m)
	switch {
	case older:
		w.log.Warn("order ignored, a newer one is known", "queue", p.name, "act", string(o.Act), "principal", a.Principal(), "order", o.ID.String(), "issued", o.Issued)
		w.metrics.orders.WithLabelValues(string(o.Act), "older").Inc()
	case taken:
		w.log.Warn("queue "+string(o.Act)+"d", "queue", p.name, "principal", a.Principal(), "order", o.ID.String(), "until", o.Expires, "note", o.Note)
		if err := w.cfg.Modes.Keep(p.name, m); err != nil {
			w.log.Error("order is not remembered over a restart", "queue", p.name, "order", o.ID.String(), "error", err)
		}
		w.hand(p, a)
	}
}
