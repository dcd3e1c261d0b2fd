package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// loopCPU is what the sender of the endless loop allows: less than the manifest, so that the demo is quick, and that this limit is met before that of the
// time on the wall where much else has the processors. The other trials end sooner by themselves.
const loopCPU = 100 * time.Millisecond

// trialRow is one thing that must not run, and what became of it.
type trialRow struct {
	Tried    string `json:"tried"`
	Outcome  string `json:"outcome"`
	Code     string `json:"code"`
	Expected bool   `json:"as_expected"`
	Note     string `json:"note,omitempty"`
}

// trial is one of them and what must become of it.
type trial struct {
	name    string
	act     func(ctx context.Context) (trialRow, error)
	outcome string
	code    string
}

// trials sends them one after the other, each as somebody who can write to the broker would.
type trials struct {
	*deployment
	conn     *connection
	finished client.Receipt // of a task that is done, for the replay
	lastDead string         // the newest dead letter seen
}

func (t *trials) list() []trial {
	return []trial{
		{"bytes that nobody signed", t.unsigned, "refused", envelope.CodeEncoding},
		{"a signed message with one bit flipped", t.flipped, "refused", envelope.CodeSignature},
		{"a key without the role for the task", t.withoutRole, "refused", "policy.denied"},
		{"a key that the policy does not know", t.unknownKey, "refused", envelope.CodeKeyUnknown},
		{"a message past its expiry", t.expired, "refused", envelope.CodeExpired},
		{"the same message a second time", t.replay, "refused", "queue.replayed"},
		{"a module changed in the store", t.changedModule, "refused", "release.digest"},
		{"a capability that policy does not grant", t.ungranted, "refused", "capability.shortfall"},
		{"an endless loop", t.hostile("loop", loopCPU, ""), "failed", "limit.cpu"},
		{"a memory bomb", t.hostile("memory", 0, ""), "failed", "limit.memory"},
		{"endless printing", t.hostile("print", 0, ""), "failed", "limit.log"},
		{"reading /etc/passwd and the environment", t.hostile("files", 0, "found nothing"), "failed", "task.failed"},
	}
}

func (t *trials) run(ctx context.Context) ([]trialRow, error) {
	if err := t.skipDead(ctx); err != nil {
		return nil, err
	}
	var rows []trialRow
	for _, trial := range t.list() {
		row, err := trial.act(ctx)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", trial.name, err)
		}
		rows = append(rows, trial.judge(row))
		if err := t.skipDead(ctx); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// judge completes row: was it what must become of the trial?
func (t trial) judge(row trialRow) trialRow {
	row.Tried = t.name
	row.Expected = row.Outcome == t.outcome && row.Code == t.code && row.Note == ""
	if !row.Expected && row.Note == "" {
		row.Note = fmt.Sprintf("expected %s %s", t.outcome, t.code)
	}
	return row
}

// lane is where the shop's messages go.
func (t *trials) lane() queue.Lane {
	return queue.Lane{Queue: demoQueue, Tenant: demoTenant, Priority: queue.PriorityNormal}
}

// put writes bytes into the lane, as anybody with write access to the broker can.
func (t *trials) put(ctx context.Context, message []byte) (trialRow, error) {
	if err := t.conn.redis.Send(ctx, []queue.Outgoing{{Lane: t.lane(), Message: message}}); err != nil {
		return trialRow{}, err
	}
	return t.nextDead(ctx)
}

// message is what t.finished's sender might have signed, for changing.
func (t *trials) message(task string) envelope.Task {
	now := time.Now()
	return envelope.Task{ID: envelope.NewMessageID(), Audience: demoAudience, Tenant: demoTenant, Queue: demoQueue, Task: task,
		Issued: now, Expires: now.Add(time.Minute), Priority: int(queue.PriorityNormal), ContentType: "application/json", Payload: []byte("{}")}
}

func (t *trials) unsigned(ctx context.Context) (trialRow, error) {
	junk := make([]byte, 200)
	if _, err := rand.Read(junk); err != nil {
		return trialRow{}, err
	}
	junk[0] = 0x93 // an array, but not of four
	return t.put(ctx, junk)
}

func (t *trials) flipped(ctx context.Context) (trialRow, error) {
	message, err := envelope.Sign(t.message("page.render"), t.keys["shop"])
	if err != nil {
		return trialRow{}, err
	}
	at := bytes.Index(message, []byte("page.render"))
	message[at] ^= 1 // another task's name
	return t.put(ctx, message)
}

func (t *trials) withoutRole(ctx context.Context) (trialRow, error) {
	message, err := envelope.Sign(t.message("image.thumbnail"), t.keys["intern"])
	if err != nil {
		return trialRow{}, err
	}
	return t.put(ctx, message)
}

func (t *trials) unknownKey(ctx context.Context) (trialRow, error) {
	message, err := envelope.Sign(t.message("page.render"), t.keys["stranger"])
	if err != nil {
		return trialRow{}, err
	}
	return t.put(ctx, message)
}

func (t *trials) expired(ctx context.Context) (trialRow, error) {
	task := t.message("page.render")
	task.Issued, task.Expires = task.Issued.Add(-2*time.Hour), task.Issued.Add(-time.Hour)
	message, err := envelope.Sign(task, t.keys["shop"])
	if err != nil {
		return trialRow{}, err
	}
	return t.put(ctx, message)
}

func (t *trials) replay(ctx context.Context) (trialRow, error) {
	return t.put(ctx, t.finished.Message)
}

// changedModule publishes a task and then changes its module's bytes where they are stored.
func (t *trials) changedModule(ctx context.Context) (trialRow, error) {
	m, err := readManifest(t.path("tampered.toml"))
	if err != nil {
		return trialRow{}, err
	}
	// A custom section at the end gives the same program another digest, so that only this task is hit.
	module := append(slices.Clone(t.built["page"]), 0, 9, 8, 't', 'a', 'm', 'p', 'e', 'r', 'e', 'd')
	if err := t.publish(ctx, m, module); err != nil {
		return trialRow{}, err
	}
	if err := t.tamper(module); err != nil {
		return trialRow{}, err
	}
	return t.sendAndWait(ctx, client.Task{Name: m.Task, Payload: []byte("{}")}, "")
}

// ungranted asks for a task whose manifest needs http, which the policy grants to nobody.
func (t *trials) ungranted(ctx context.Context) (trialRow, error) {
	return t.sendAndWait(ctx, client.Task{Name: "web.callout", Payload: []byte(`{}`)}, "")
}

// hostile runs the hostile example in one of its modes, with a limit of its own for the CPU; 0: the manifest's. said is what its error must contain.
func (t *trials) hostile(mode string, cpu time.Duration, said string) func(context.Context) (trialRow, error) {
	return func(ctx context.Context) (trialRow, error) {
		task := client.Task{Name: "test.hostile", Input: map[string]string{"mode": mode}, Limits: envelope.Limits{CPU: cpu}}
		return t.sendAndWait(ctx, task, said)
	}
}

// sendAndWait sends honestly and returns the signed result as a row.
func (t *trials) sendAndWait(ctx context.Context, task client.Task, said string) (trialRow, error) {
	receipt, err := t.conn.client.Send(ctx, task)
	if err != nil {
		return trialRow{}, err
	}
	result, err := t.conn.client.Wait(ctx, receipt)
	if result.ID != receipt.ID {
		return trialRow{}, err
	}
	row := trialRow{Outcome: string(result.Status), Code: result.Code}
	if !strings.Contains(result.Error, said) {
		row.Note = fmt.Sprintf("expected it to say %q, it said %q", said, result.Error)
	}
	return row, nil
}

// nextDead waits for the next dead letter.
func (t *trials) nextDead(ctx context.Context) (trialRow, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		letters, err := t.conn.redis.DeadLetters(ctx, demoQueue, t.lastDead, 1)
		if err != nil {
			return trialRow{}, err
		}
		if len(letters) > 0 {
			return trialRow{Outcome: "refused", Code: letters[0].Code}, nil
		}
		select {
		case <-ctx.Done():
			return trialRow{}, errors.New("no dead letter came: was it run?")
		case <-tick.C:
		}
	}
}

// skipDead moves past the dead letters that are there.
func (t *trials) skipDead(ctx context.Context) error {
	for {
		letters, err := t.conn.redis.DeadLetters(ctx, demoQueue, t.lastDead, queue.PageMax)
		if err != nil || len(letters) == 0 {
			return err
		}
		t.lastDead = letters[len(letters)-1].Entry
	}
}

// printDemo prints the table and the line that sums it up.
func printDemo(o demoOptions, s demoSummary) error {
	if o.json {
		return printJSON(o.out, s)
	}
	table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT WAS TRIED\tOUTCOME\tCODE")
	fmt.Fprintf(table, "%d signed tasks: thumbnails, reports, pages\tdone\t\n", s.Done)
	for _, r := range s.Trials {
		code := r.Code
		if !r.Expected {
			code += "  NOT AS EXPECTED: " + oneLine(r.Note)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.Tried, r.Outcome, code)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(o.out, "\n%.0f tasks per second\ndemo: %d done, %d refused or stopped as expected, %d lost\n",
		s.PerSecond, s.Done, s.AsTheySay, s.Lost)
	return err
}
