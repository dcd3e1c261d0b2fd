package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// eventInfo is an event of a queue.
type eventInfo struct {
	Cursor   string    `json:"cursor"` // where to go on after it, with --after
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Queue    string    `json:"queue"`
	Tenant   string    `json:"tenant,omitempty"`
	Task     string    `json:"task,omitempty"`
	ID       string    `json:"id,omitempty"`
	Worker   string    `json:"worker,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Code     string    `json:"code,omitempty"`
	Progress string    `json:"progress,omitempty"`
}

func eventsCommand() *cobra.Command {
	f, name, after, follow := operatorFlags{}, "", "", false
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happens in a queue: accepted, started, progress, retried, done, failed, refused, dead",
		Long: `Prints the events that are kept, the oldest first, and with --follow those that come, until it is interrupted. Some events may be
lost: they are for watching, and nothing is decided by them. With --after it goes on after the cursor of an event that
--json has printed; --follow without --after begins now.

The user of Redis in the settings needs the rights of a watcher or an operator (caisson redis acl watcher).`,
		Example: "  caisson events --follow\n  caisson events --json --after 1700000000000-0.1",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := connectOperator(f, name, envelope.Operate, envelope.Submit)
			if err != nil {
				return err
			}
			defer o.close()
			return o.events(c, after, follow)
		},
	}
	f.add(c, shape{"", eventInfo{}})
	c.Flags().StringVarP(&name, "queue", "q", "", "queue (default: the one in the settings)")
	c.Flags().StringVar(&after, "after", "", "cursor to go on after; 0: the oldest kept")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	return c
}

// events prints events until there are no more kept or, with follow, until it is interrupted.
func (o *operator) events(c *cobra.Command, after string, follow bool) error {
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	read := o.redis.Follow
	if !follow {
		read = o.redis.KeptEvents
		after = cmp.Or(after, "0")
	}
	var failed error
	err := read(ctx, o.file.Queue, after, func(cursor string, e queue.Event) {
		if failed != nil {
			return // it came while the reading was ending
		}
		if failed = printEvent(c.OutOrStdout(), eventInfoOf(cursor, e), o.flags.json); failed != nil {
			stop()
		}
	})
	var field *queue.FieldError
	switch {
	case failed != nil:
		return failed
	case errors.As(err, &field):
		return misuse("--after: %v", err)
	case c.Context().Err() != nil && follow:
		return nil // how following ends
	}
	return err
}

func eventInfoOf(cursor string, e queue.Event) eventInfo {
	return eventInfo{Cursor: cursor, Kind: string(e.Kind), At: e.At.UTC(), Queue: e.Queue, Tenant: e.Tenant, Task: e.Task,
		ID: e.ID, Worker: e.Worker, Attempt: e.Attempt, Code: e.Code, Progress: e.Progress}
}

func printEvent(w io.Writer, e eventInfo, asJSON bool) error {
	if asJSON {
		return printJSON(w, e)
	}
	// Redis, and for progress the guest, chose these words.
	line := fmt.Sprintf("%s %-8s %-32s %s", e.At.Format("2006-01-02T15:04:05.000Z07:00"), e.Kind, oneLine(e.ID), oneLine(e.Task))
	if e.Attempt > 1 {
		line += fmt.Sprintf(" attempt=%d", e.Attempt)
	}
	if e.Code != "" {
		line += " code=" + oneLine(e.Code)
	}
	if e.Progress != "" {
		line += " " + oneLine(e.Progress)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
