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

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

func taskWaitCommand() *cobra.Command {
	f, timeout, digest := clientFlags{}, time.Duration(0), ""
	c := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait for a task's result, check the worker's signature, print the result",
		Long: `Exit status 0 when the task is done, 1 when it failed, 3 when it was refused. With --digest, as printed by
task send --json, only a result for exactly those message bytes is believed.`,
		Example: "  caisson task wait 0192f3a4b5c6d7e8f901234567890abc --timeout 1m",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := envelope.ParseMessageID(args[0])
			if err != nil {
				return misuse("%v", err)
			}
			if err := checkTimeout(timeout); err != nil {
				return err
			}
			r := client.Receipt{ID: id}
			if digest != "" {
				if r.Digest, err = envelope.ParseDigest(digest); err != nil {
					return misuse("--digest: %v", err)
				}
			}
			conn, err := connect(f.config, f.queue)
			if err != nil {
				return err
			}
			defer conn.close()
			r.Queue = conn.file.Queue
			return waitAndPrint(c, conn, r, timeout, f.json)
		},
	}
	f.add(c)
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time (default: never)")
	c.Flags().StringVar(&digest, "digest", "", "digest of the message, sha256:...")
	return c
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
		return &hintError{fmt.Errorf("task %s has no result after %v", r.ID, timeout), "caisson task show " + r.ID.String()}
	case c.Context().Err() != nil && result.ID != r.ID:
		return &hintError{errors.New("interrupted; the task itself goes on"), "caisson task wait " + r.ID.String()}
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
	if err != nil {
		return err
	}
	return printOutput(c.OutOrStdout(), result.Output)
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
	Output   json.RawMessage `json:"output,omitempty"`
	Bytes    []byte          `json:"output_base64,omitempty"`
}

func describeResult(r envelope.Result) resultInfo {
	info := resultInfo{ID: r.ID.String(), Task: r.Task, Status: string(r.Status), Code: r.Code, Error: r.Error,
		Attempt: r.Attempt, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Worker: r.Worker.String()}
	if utf8.Valid(r.Output) && json.Valid(r.Output) {
		info.Output = r.Output
	} else {
		info.Bytes = r.Output
	}
	return info
}
