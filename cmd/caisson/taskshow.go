package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// taskInfo is what can be told of a task: where it stands, and its result once there is one.
type taskInfo struct {
	ID      string `json:"id"`
	Queue   string `json:"queue"`
	Phase   string `json:"phase"`
	Attempt int    `json:"attempt,omitempty"`
	Crashes int    `json:"crashes,omitempty"`
	Worker  string `json:"worker,omitempty"`

	Progress   string    `json:"progress,omitempty"` // the newest report
	ProgressAt time.Time `json:"progress_at,omitzero"`

	Result *resultInfo `json:"result,omitempty"`
}

func taskShowCommand() *cobra.Command {
	f, follow := clientFlags{}, false
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show where a task stands, and its result when it has one",
		Long: `The state is the broker's word: it says waiting, running, done or dead, and "unknown" for a task that no worker
has seen yet or whose state has expired, and "hidden" when this user of Redis may not read states. A result is shown only if a worker that client.toml lists signed it.

With --follow it says on stderr, or with --json on stdout, how the state changes and what the task reports of its progress,
until there is a result.`,
		Example: "  caisson task show 0192f3a4b5c6d7e8f901234567890abc\n  caisson task show 0192f3a4b5c6d7e8f901234567890abc --follow",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := envelope.ParseMessageID(args[0])
			if err != nil {
				return misuse("%v", err)
			}
			conn, err := connect(f.config, f.queue)
			if err != nil {
				return err
			}
			defer conn.close()
			if follow {
				if err := followTask(c, conn, id, f.json); err != nil {
					return err
				}
			}
			info, err := showTask(c, conn, id)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(c.OutOrStdout(), info)
			}
			return printTask(c, info)
		},
	}
	f.add(c, shape{"", taskInfo{}}, shape{"--follow, before that", turnInfo{}})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "say how it goes on, until it has a result")
	return c
}

func showTask(c *cobra.Command, conn *connection, id envelope.MessageID) (taskInfo, error) {
	info := taskInfo{ID: id.String(), Queue: conn.file.Queue}
	lane := queue.Lane{Queue: conn.file.Queue, Tenant: conn.file.Tenant, Priority: queue.PriorityNormal}
	state, err := conn.redis.State(c.Context(), lane, id.String())
	switch {
	case forbidden(err):
		info.Phase = "hidden" // the sender's user may read results only, as docs/reference/redis.md has it
	case err != nil:
		return info, err
	case state.Phase == queue.PhaseUnknown:
		info.Phase = "unknown"
	default:
		info.Phase, info.Attempt, info.Crashes, info.Worker = string(state.Phase), state.Attempt, state.Crashes, state.Worker
	}
	if info.Progress, info.ProgressAt, err = reportOf(c.Context(), conn, lane, id); err != nil {
		return info, err
	}
	raw, err := conn.results.Result(c.Context(), conn.file.Queue, conn.key.Public().ID().String(), id.String())
	if errors.Is(err, queue.ErrNoResult) {
		return info, nil
	}
	if err != nil {
		return info, err
	}
	result, err := envelope.OpenResult(raw, conn.workers)
	if err != nil {
		return info, fmt.Errorf("the result in the broker is not a worker's: %w", err)
	}
	if result.ID != id {
		return info, fmt.Errorf("the result in the broker is another task's: %s", result.ID)
	}
	for what, same := range map[string]bool{
		"deployment": result.Audience == conn.file.Audience, "tenant": result.Tenant == conn.file.Tenant, "queue": result.Queue == conn.file.Queue,
	} {
		if !same {
			return info, fmt.Errorf("the result in the broker is of another %s", what)
		}
	}
	described := describeResult(result)
	info.Result = &described
	return info, nil
}

func printTask(c *cobra.Command, info taskInfo) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "id       %s\nqueue    %s\nphase    %s\n", info.ID, info.Queue, info.Phase)
	if info.Attempt > 0 {
		fmt.Fprintf(w, "attempt  %d\n", info.Attempt)
	}
	if info.Crashes > 0 {
		fmt.Fprintf(w, "crashes  %d\n", info.Crashes)
	}
	if info.Worker != "" {
		fmt.Fprintf(w, "worker   %s\n", oneLine(info.Worker))
	}
	if info.Progress != "" {
		fmt.Fprintf(w, "progress %s\n", oneLine(info.Progress))
	}
	if r := info.Result; r != nil {
		fmt.Fprintf(w, "task     %s\nstatus   %s\n", r.Task, r.Status)
		if r.Code != "" {
			fmt.Fprintf(w, "code     %s\n", r.Code)
		}
		if r.Error != "" {
			fmt.Fprintf(w, "error    %s\n", oneLine(r.Error))
		}
		if !r.Started.IsZero() {
			fmt.Fprintf(w, "took     %v\n", r.Finished.Sub(r.Started).Round(time.Millisecond))
		}
		if r.Output != nil {
			fmt.Fprintf(w, "output   %s\n", oneLine(string(r.Output)))
		} else if len(r.Bytes) > 0 || r.Status == string(envelope.StatusDone) {
			fmt.Fprintf(w, "output   %d bytes\n", len(r.Bytes))
		}
	}
	return nil
}
