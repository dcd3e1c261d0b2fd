package redisqueue

import (
	"strconv"
	"strings"
	"sync"

	"github.com/caisson-run/caisson/queue"
)

// A told is one part of an announcement to waiters: the id of a message whose result is there, and the result itself, unless it has
// to be read. Both are the broker's word.
type told struct{ id, result string }

// toldIn parses an announcement: ids separated by spaces, each of which may be followed by its result as :<bytes>:<result>. It stops at
// anything else; the waiters for results that it misses read them at the next chance. It also stops after as many as one Settle can
// announce: a message may have many megabytes, and each of its words takes more memory than its two bytes.
func toldIn(text string) []told {
	var words []told
	for text != "" && len(words) < queue.BatchMax {
		end := strings.IndexAny(text, " :")
		if end < 0 {
			return append(words, told{id: text})
		}
		word, rest := told{id: text[:end]}, text[end+1:]
		if text[end] == ':' {
			size, bytes, ok := strings.Cut(rest, ":")
			n, err := strconv.Atoi(size)
			if !ok || err != nil || n < 0 || n > min(len(bytes), carriedBytesMax) {
				return append(words, word)
			}
			word.result, rest = bytes[:n], strings.TrimPrefix(bytes[n:], " ")
		}
		words, text = append(words, word), rest
	}
	return words
}

// A waiter is one Wait: the ids that it waits for, and those of them that should be read.
type waiter struct {
	ready  chan struct{} // holds one word: there is something to read
	failed chan error    // holds one: why nothing more will be told

	mu          sync.Mutex
	outstanding map[string]bool // id -> already in due
	due         []string
	came        map[string]string // id -> the result that came with it
}

func newWaiter(ids []string) *waiter {
	w := &waiter{ready: make(chan struct{}, 1), failed: make(chan error, 1), outstanding: make(map[string]bool, len(ids)), came: map[string]string{}}
	for _, id := range ids {
		w.outstanding[id] = false
	}
	return w
}

// fail ends the Wait.
func (w *waiter) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// tell takes an announcement: w keeps the parts that it waits for.
func (w *waiter) tell(words []told) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, word := range words {
		due, waits := w.outstanding[word.id]
		switch {
		case !waits:
			continue
		case word.result != "":
			w.came[word.id] = word.result
		case !due:
			w.outstanding[word.id] = true
			w.due = append(w.due, word.id)
		}
		w.wake()
	}
}

// tellAll makes w read all that it waits for: any of the results may be there.
func (w *waiter) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, due := range w.outstanding {
		if !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
	w.wake()
}

func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// arrived returns the results that came with their ids.
func (w *waiter) arrived() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	came := w.came
	w.came = map[string]string{}
	return came
}

// take returns up to n ids to read.
func (w *waiter) take(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var batch []string
	for len(w.due) > 0 && len(batch) < n {
		id := w.due[0]
		w.due = w.due[1:]
		if _, waits := w.outstanding[id]; waits { // else its result came meanwhile
			w.outstanding[id] = false // from now on it may be told again
			batch = append(batch, id)
		}
	}
	return batch
}

// putBack returns ids that could not be read.
func (w *waiter) putBack(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if due, waits := w.outstanding[id]; waits && !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
}

// end removes id, whose result has arrived, and reports whether w still waited for it.
func (w *waiter) end(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, waits := w.outstanding[id]
	delete(w.outstanding, id)
	return waits
}

func (w *waiter) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outstanding)
}
