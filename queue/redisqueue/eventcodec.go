package redisqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/queue"
)

// A batch of events is bytes: the version 1, then the events one after the other until the end. An event is
//
//	kind (one byte), at (ms since 1970), attempt, then tenant, task, id, worker, code and progress
//
// where a number is an unsigned varint of encoding/binary, and a text is either 2*length and its bytes or, when the batch
// has had the same text before, 2*place+1: texts that are not empty are numbered from 0 as they come, up to textsMax.
// The queue is the stream's.

const (
	eventsVersion = 1

	// textsMax bounds the texts that a batch refers back to, in writing and reading.
	textsMax = 4 * eventsPerEntry
)

// eventKinds are the kinds by their number on the wire, from 1.
var eventKinds = []queue.EventKind{
	queue.EventAccepted, queue.EventStarted, queue.EventProgress, queue.EventRetried,
	queue.EventDone, queue.EventFailed, queue.EventRefused, queue.EventDead,
}

var errEvents = errors.New("events: malformed")

// eventWriter encodes one batch.
type eventWriter struct {
	out   []byte
	texts map[string]uint64
}

// encodeEvents encodes batch, whose kinds are known. Texts that are too long are cut.
func encodeEvents(batch []queue.Event) ([]byte, error) {
	w := eventWriter{out: make([]byte, 1, 1+64*len(batch)), texts: map[string]uint64{}}
	w.out[0] = eventsVersion
	for _, e := range batch {
		kind := byte(0)
		for i, k := range eventKinds {
			if k == e.Kind {
				kind = byte(i + 1)
			}
		}
		if kind == 0 {
			return nil, &queue.FieldError{Field: "event", Text: fmt.Sprintf("kind %q", e.Kind)}
		}
		w.out = append(w.out, kind)
		w.number(uint64(max(e.At.UnixMilli(), 0)))
		w.number(uint64(max(e.Attempt, 0)))
		w.text(e.Tenant, eventTextMax)
		w.text(e.Task, eventTextMax)
		w.text(e.ID, queue.IDBytesMax)
		w.text(e.Worker, eventTextMax)
		w.text(e.Code, queue.CodeBytesMax)
		w.text(e.Progress, queue.ProgressBytesMax)
	}
	return w.out, nil
}

func (w *eventWriter) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

func (w *eventWriter) text(s string, most int) {
	s = cutText(s, most)
	if place, known := w.texts[s]; known {
		w.number(2*place + 1)
		return
	}
	if s != "" && len(w.texts) < textsMax {
		w.texts[s] = uint64(len(w.texts))
	}
	w.number(2 * uint64(len(s)))
	w.out = append(w.out, s...)
}

// eventReader decodes one batch, which is whatever the broker says.
type eventReader struct {
	in    []byte
	texts []string
	err   error
}

// decodeEvents decodes what encodeEvents wrote for a queue: at most eventsPerEntry events.
// Errors: one that says that the bytes are something else.
func decodeEvents(name string, in []byte) ([]queue.Event, error) {
	if len(in) == 0 || in[0] != eventsVersion {
		return nil, errEvents
	}
	r := eventReader{in: in[1:]}
	var out []queue.Event
	for len(r.in) > 0 {
		kind := r.in[0]
		if kind == 0 || int(kind) > len(eventKinds) || len(out) == eventsPerEntry {
			return nil, errEvents
		}
		r.in = r.in[1:]
		e := queue.Event{Kind: eventKinds[kind-1], Queue: name}
		e.At = time.UnixMilli(int64(r.number(maxExact)))
		e.Attempt = int(r.number(1 << 31))
		e.Tenant = r.text(eventTextMax)
		e.Task = r.text(eventTextMax)
		e.ID = r.text(queue.IDBytesMax)
		e.Worker = r.text(eventTextMax)
		e.Code = r.text(queue.CodeBytesMax)
		e.Progress = r.text(queue.ProgressBytesMax)
		if r.err != nil {
			return nil, r.err
		}
		out = append(out, e)
	}
	return out, nil
}

func (r *eventReader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.in)
	if r.err != nil || size <= 0 || n > most {
		r.err = errEvents
		return 0
	}
	r.in = r.in[size:]
	return n
}

func (r *eventReader) text(most int) string {
	n := r.number(2*maxExact + 1)
	if r.err != nil {
		return ""
	}
	var s string
	switch place, length := n/2, n/2; {
	case n%2 == 1 && place < uint64(len(r.texts)):
		s = r.texts[place]
	case n%2 == 0 && length <= uint64(min(most, len(r.in))):
		s, r.in = string(r.in[:length]), r.in[length:]
		if s != "" && len(r.texts) < textsMax {
			r.texts = append(r.texts, s)
		}
	default:
		r.err = errEvents
		return ""
	}
	if len(s) > most || !utf8.ValidString(s) {
		r.err = errEvents
	}
	return s
}

// cutText returns at most most bytes of s, ending at a whole character; what is not UTF-8 in it is replaced.
func cutText(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	if utf8.ValidString(s) {
		return s
	}
	valid := []rune(s)
	for len(string(valid)) > most {
		valid = valid[:len(valid)-1]
	}
	return string(valid)
}
