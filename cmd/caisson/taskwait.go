package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// waitFlags are those of task wait.
type waitFlags struct {
	clientFlags
	timeout  time.Duration
	digest   string
	receipts string
}

func taskWaitCommand() *cobra.Command {
	f := waitFlags{}
	c := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait for results, check the workers' signatures, print them",
		Long: `Exit status 0 when the task is done, 1 when it failed, 3 when it was refused. With --digest, as printed by
task send --json, only a result for exactly those message bytes is believed.

Of several tasks, each result is printed as it comes, on a line of its own: the id, how it ended, and the output or the reason. The exit
status is then 3 when one was refused, else 1 when one failed. --receipts reads what task send --json printed, with the
digests, instead of ids.`,
		Example: "  caisson task wait 0192f3a4b5c6d7e8f901234567890abc --timeout 1m\n  caisson task wait --receipts receipts.jsonl --json",
		RunE:    func(c *cobra.Command, args []string) error { return runWait(c, args, f) },
	}
	f.add(c, shape{"", resultInfo{}})
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "give up after this time; 0s, the default: never")
	c.Flags().StringVar(&f.digest, "digest", "", "digest of the message, sha256:...; of one task only")
	c.Flags().StringVar(&f.receipts, "receipts", "", "file with what task send --json printed, - for stdin")
	return c
}

func runWait(c *cobra.Command, args []string, f waitFlags) error {
	if err := checkTimeout(f.timeout); err != nil {
		return err
	}
	if c.Flags().Changed("receipts") && f.receipts == "" {
		return misuse("--receipts: is empty")
	}
	switch {
	case f.receipts == "" && len(args) == 0:
		return misuse("%s takes ID, or --receipts", c.CommandPath()).withHint("%s --help", c.CommandPath())
	case f.receipts != "" && len(args) > 0:
		return misuse("--receipts: instead of ids, not beside them")
	case f.digest != "" && len(args) != 1:
		return misuse("--digest: is for one ID")
	}
	receipts, err := f.given(args)
	if err != nil {
		return err
	}
	conn, err := connect(f.config, f.queue)
	if err != nil {
		return err
	}
	defer conn.close()
	if f.receipts != "" {
		if receipts, err = readReceipts(c.Context(), f.receipts, c.InOrStdin()); err != nil {
			return err
		}
	}
	for i := range receipts {
		if receipts[i].Queue == "" {
			receipts[i].Queue = conn.file.Queue
		}
	}
	conn.sayIfAway(c, receipts[0], f.timeout)
	if len(receipts) == 1 && f.receipts == "" {
		return waitAndPrint(c, conn, receipts[0], f.timeout, f.json)
	}
	return waitForMany(c, conn, receipts, f.timeout, f.json)
}

// given makes receipts of the ids on the command line.
func (f waitFlags) given(args []string) ([]client.Receipt, error) {
	receipts := make([]client.Receipt, len(args))
	for i, text := range args {
		id, err := envelope.ParseMessageID(text)
		if err != nil {
			return nil, misuse("%v", err)
		}
		receipts[i].ID = id
	}
	if f.digest != "" {
		digest, err := envelope.ParseDigest(f.digest)
		if err != nil {
			return nil, misuse("--digest: %v", err)
		}
		receipts[0].Digest = digest
	}
	return receipts, nil
}

// waitAndPrint prints the result's output as it is, so that it can be piped on.
func waitAndPrint(c *cobra.Command, conn *connection, r client.Receipt, timeout time.Duration, asJSON bool) error {
	ctx := c.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	conn.warn = c.ErrOrStderr()
	result, err := conn.client.Wait(ctx, r)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &hintError{timeUp(fmt.Sprintf("task %s has no result after %v", r.ID, timeout), err), "caisson task show " + r.ID.String()}
	case c.Context().Err() != nil && result.ID != r.ID:
		return &hintError{timeUp("interrupted; the task itself goes on", err), "caisson task wait " + r.ID.String()}
	}
	if result.ID != r.ID {
		return err // nothing came that can be shown
	}
	if asJSON {
		if printed := printJSON(c.OutOrStdout(), describeResult(result)); printed != nil {
			return printed
		}
		return err
	}
	var duplicate *client.DuplicateError
	if errors.As(err, &duplicate) {
		return &hintError{err, "caisson task wait " + duplicate.First.String()}
	}
	if err != nil {
		return err
	}
	return printOutput(c.OutOrStdout(), result.Output)
}

// timeUp says that a wait took too long for somebody, and when the broker was away at its end, that: then nothing is known of the task.
func timeUp(text string, err error) error {
	var away *queue.UnavailableError
	if errors.As(err, &away) {
		return fmt.Errorf("%s, and the broker cannot be asked: %w", text, away)
	}
	return errors.New(text)
}

// printOutput writes text with a line's end and anything else untouched. A terminal would obey what a task wrote, so
// there it is written out instead.
func printOutput(w io.Writer, output []byte) error {
	if isTerminal(w) {
		output = []byte(someLines(string(output)))
	}
	if utf8.Valid(output) && len(output) > 0 && !bytes.HasSuffix(output, []byte("\n")) {
		output = append(bytes.Clone(output), '\n')
	}
	_, err := w.Write(output)
	return err
}

// resultInfo is a result for programs. Output that is JSON stands as such, other output as base64.
type resultInfo struct {
	ID       string          `json:"id"`
	Task     string          `json:"task"`
	Status   string          `json:"status"`
	Code     string          `json:"code,omitempty"`
	Error    string          `json:"error,omitempty"`
	Attempt  int             `json:"attempt"`
	Started  time.Time       `json:"started,omitzero"` // of the last run; none when nothing ran
	Finished time.Time       `json:"finished"`
	Worker   string          `json:"worker"`
	First    string          `json:"first,omitempty"` // of a duplicate: the message that has its unique key
	Output   json.RawMessage `json:"output,omitempty"`
	Bytes    []byte          `json:"output_base64,omitempty"`
}

// firstOf is the id of the message of which r is a duplicate, "" when it is none.
func firstOf(r envelope.Result) string {
	if first, err := envelope.ParseMessageID(string(r.Output)); err == nil && r.Code == runtime.CodeDuplicate {
		return first.String()
	}
	return ""
}

func describeResult(r envelope.Result) resultInfo {
	info := resultInfo{ID: r.ID.String(), Task: r.Task, Status: string(r.Status), Code: r.Code, Error: r.Error,
		Attempt: r.Attempt, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Worker: r.Worker.String()}
	info.First = firstOf(r)
	if utf8.Valid(r.Output) && json.Valid(r.Output) {
		info.Output = r.Output
	} else {
		info.Bytes = r.Output
	}
	return info
}
