package chaos_test

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"time"
)

// eventKind says what an event is about.
type eventKind string

const (
	sent     eventKind = "sent"     // a producer is about to send a message. Text: the kind of its task
	accepted eventKind = "accepted" // its Send returned nil
	ran      eventKind = "ran"      // the guest said that it runs. Who: the worker
	over     eventKind = "over"     // the guest said that it gives its output now, and ends. Who: the worker
	said     eventKind = "said"     // a worker told what became of a task. Text: done, retried, failed, refused or lost
	seen     eventKind = "seen"     // somebody read a signed result that was not there before. Text: its status. Sum: its bytes
	gone     eventKind = "gone"     // a result that had been seen is no longer there
	forged   eventKind = "forged"   // the attacker wrote an entry. Text: copy (of ID), moved, or garbage
	fault    eventKind = "fault"    // something was broken from At to Until. Who: worker-N or redis. Text: what
	ordered  eventKind = "ordered"  // an operator is about to give an order, issued At. Text: the act. Order, Queue; ID: whom it cancels. Code: of letters
	taken    eventKind = "taken"    // the broker took it
	heard    eventKind = "heard"    // a worker said that it heard an order to pause or resume; Text deaf: that it serves without having heard any
	answered eventKind = "answered" // the operator got a worker's signed answer. Text: its status
	quiet    eventKind = "quiet"    // no fault is left
	settled  eventKind = "settled"  // all that was accepted had a result
	state    eventKind = "state"    // at the end: the phase that the broker keeps, in Text
	letter   eventKind = "letter"   // at the end: a dead letter. Code
	noted    eventKind = "noted"    // at the end: an event of the queue's stream, for those who watch. Text: its kind. Who, Attempt
	left     eventKind = "left"     // at the end: something in Redis that should have gone. Text
	ended    eventKind = "ended"    // a worker ended when it was told to. Text: its exit status
)

// An event is one line of a history.
type event struct {
	At      time.Time     `json:"at"`
	Kind    eventKind     `json:"kind"`
	ID      string        `json:"id,omitempty"`
	Queue   string        `json:"queue,omitempty"`
	Order   string        `json:"order,omitempty"` // the id of an order
	Who     string        `json:"who,omitempty"`
	Text    string        `json:"text,omitempty"`
	Code    string        `json:"code,omitempty"`
	Sum     string        `json:"sum,omitempty"`
	Attempt int           `json:"attempt,omitempty"`
	Took    time.Duration `json:"took,omitempty"`   // of said: how long the run was
	Waited  time.Duration `json:"waited,omitempty"` // of said: from when it was sent until its worker let it run, by the worker's clock
	Until   time.Time     `json:"until,omitzero"`
	Expires time.Time     `json:"expires,omitzero"` // of sent
	After   []string      `json:"after,omitempty"`  // of sent: the steps whose results it needs
}

// A history is all that was seen of one run, by whoever saw it, in the order of time.
type history struct {
	Seed    uint64        `json:"seed"`
	Set     string        `json:"set"`  // see plan
	Sync    string        `json:"sync"` // Redis's appendfsync
	Lease   time.Duration `json:"lease"`
	Step    time.Duration `json:"step"`    // how far clocks of workers were put forward, at most
	Back    time.Duration `json:"back"`    // how far they were put back, at most
	Workers int           `json:"workers"` // places
	events  []event
}

func (h *history) sort() {
	slices.SortStableFunc(h.events, func(a, b event) int { return a.At.Compare(b.At) })
}

// save writes h, one JSON object a line, the first being the run itself.
func (h *history) save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	_ = lines.Encode(h) // an error of the file shows at Flush
	for _, e := range h.events {
		_ = lines.Encode(e)
	}
	if err := out.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
