package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// receiptsFileMax bounds a file of receipts: those of the largest batch, with room.
const receiptsFileMax = client.BatchMax * 1 << 10

// readReceipts reads what task send --json printed: one receipt a line.
func readReceipts(ctx context.Context, path string, stdin io.Reader) (receipts []client.Receipt, err error) {
	var data []byte
	if path == "-" {
		path = "stdin"
		data, err = readStdin(ctx, stdin, receiptsFileMax)
	} else {
		data, err = readFile(path, receiptsFileMax)
	}
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var r client.Receipt
		if err := json.Unmarshal(line, &r); err != nil || r.ID.IsZero() {
			return nil, misuse("%s:%d: is no receipt", path, number)
		}
		if len(receipts) == client.BatchMax {
			return nil, misuse("%s: has more than %d receipts", path, client.BatchMax)
		}
		receipts = append(receipts, r)
	}
	if len(receipts) == 0 {
		return nil, misuse("%s: has no receipt", path)
	}
	return receipts, nil
}

// waitForMany prints each result as it comes, and ends with the worst of them.
func waitForMany(c *cobra.Command, conn *connection, receipts []client.Receipt, timeout time.Duration, asJSON bool) error {
	ctx := c.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	conn.warn = c.ErrOrStderr()
	var come, refusals, failures int
	var printed error
	err := conn.client.WaitAll(ctx, receipts, func(_ client.Receipt, r envelope.Result, err error) {
		come++
		var no *client.RefusedError
		switch {
		case errors.As(err, &no):
			refusals++
		case err != nil:
			failures++
		}
		if fault := printOne(c.OutOrStdout(), r, asJSON); fault != nil && printed == nil {
			printed = fault
		}
	})
	missing := len(receipts) - come
	switch {
	case printed != nil:
		return printed
	case errors.Is(err, context.DeadlineExceeded) && c.Context().Err() == nil:
		return timeUp(fmt.Sprintf("%d of %d tasks have no result after %v", missing, len(receipts), timeout), err)
	case c.Context().Err() != nil:
		return fmt.Errorf("interrupted; %d of %d tasks have no result yet, and go on", missing, len(receipts))
	case err != nil:
		return err
	case refusals > 0:
		return refused(fmt.Errorf("of %d tasks %d were refused and %d failed", len(receipts), refusals, failures))
	case failures > 0:
		return fmt.Errorf("of %d tasks %d failed", len(receipts), failures)
	}
	return nil
}

// printOne prints one result on one line: nothing that a task wrote can begin another.
func printOne(w io.Writer, r envelope.Result, asJSON bool) error {
	if asJSON {
		return printJSON(w, describeResult(r))
	}
	text := string(r.Output)
	if r.Status != envelope.StatusDone {
		text = r.Code
		if r.Error != "" {
			text += ": " + r.Error
		}
		if first := firstOf(r); first != "" {
			text += ": of " + first
		}
	}
	_, err := fmt.Fprintf(w, "%s %-7s %s\n", r.ID, r.Status, oneLine(text))
	return err
}
