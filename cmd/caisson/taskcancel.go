package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/ask"
)

// cancelWait is how long a cancellation waits to see the task end.
const cancelWait = 5 * time.Second

// cancelInfo is the outcome of an order to cancel.
type cancelInfo struct {
	Order  string `json:"order"`
	ID     string `json:"id"`
	Status string `json:"status"` // cancelled, ended (before it was cancelled), ordered (it has not ended yet), running (in spite of it)
	Result string `json:"result,omitempty"`
	Code   string `json:"code,omitempty"`
}

func taskCancelCommand() *cobra.Command {
	f, name, tenant := operatorFlags{}, "", ""
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a task: if it waits it never starts, if it runs it is ended",
		Long: `Signs an order with the key of the settings: a submit key may cancel what its own principal sent, an operate key everything, with
--tenant. Then waits a little for the end. A task that waits ends, refused with task.cancelled, when its turn comes: until
then the order is kept, which is a success, too. A task that runs in spite of it is a failure, exit status 1: this key may
not cancel it, or its worker is gone or hears nothing, and the order counts when another one takes the task over. ID may also be a plan's.`,
		Example: "  caisson task cancel 0192f3a4b5c6d7e8f901234567890abc\n  caisson task cancel 0192f3a4b5c6d7e8f901234567890abc --config operator.toml --tenant acme",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := envelope.ParseMessageID(args[0])
			if err != nil {
				return misuse("%v", err)
			}
			o, err := connectOperator(f, name, envelope.Submit, envelope.Operate)
			if err != nil {
				return err
			}
			defer o.close()
			if tenant == "" {
				tenant = o.file.Tenant
			}
			if err := ask.NameFault(tenant); err != "" {
				return misuse("--tenant: %s", err)
			}
			return o.cancel(c, tenant, id)
		},
	}
	c.Flags().StringVarP(&f.config, "config", "c", "client.toml", "who cancels, and where")
	c.Flags().StringVarP(&name, "queue", "q", "", "queue (default: the one in the settings)")
	c.Flags().StringVar(&tenant, "tenant", "", "whose task it is (default: the tenant in the settings)")
	c.Flags().DurationVar(&f.timeout, "timeout", cancelWait, "how long to wait for the end; 0s: not at all")
	c.Flags().StringVar(&f.note, "note", "", "why, for the workers' logs")
	jsonFlag(c, &f.json, shape{"", cancelInfo{}})
	return c
}

// cancel gives the order and waits for what comes first of it: the task's result, for its sender, or a worker's answer.
func (o *operator) cancel(c *cobra.Command, tenant string, id envelope.MessageID) error {
	s, err := o.sign(envelope.Order{Act: envelope.ActCancel, Tenant: tenant, Target: id.String()}, envelope.CancelLifetimeMax)
	if err != nil {
		return err
	}
	lane := queue.Lane{Queue: o.file.Queue, Tenant: tenant}
	if err := o.redis.Cancel(c.Context(), lane, id.String(), s.bytes, envelope.CancelLifetimeMax); err != nil {
		return err
	}
	info := cancelInfo{Order: s.order.ID.String(), ID: id.String(), Status: "ordered"}
	if o.key.Public().Purpose() == envelope.Operate {
		answer, err := o.await(c.Context(), s)
		if err != nil && !errors.Is(err, errUnanswered) {
			return err
		}
		if err == nil && answer.Status == string(envelope.StatusDone) {
			info.Status = "cancelled"
		}
	} else if err := o.awaitEnd(c.Context(), id, &info); err != nil {
		return err
	}
	if info.Status == "ordered" && o.flags.timeout > 0 {
		if err := o.standing(c.Context(), lane, id, &info); err != nil {
			return err
		}
	}
	if o.flags.json {
		if err := printJSON(c.OutOrStdout(), info); err != nil {
			return err
		}
	}
	if info.Status == "running" {
		return &hintError{fmt.Errorf("task %s runs, and no worker has ended it within %v; the order is kept", id, o.flags.timeout),
			"may this key cancel it? A submit key cancels what its own principal sent, an operate key everything. If its worker is gone, it ends with its lease"}
	}
	if o.flags.json {
		return nil
	}
	return printCancel(c.OutOrStdout(), info)
}

// standing says in info, by the broker's word, how a task stands of whose end nothing was heard: a worker that runs it and
// takes the order ends it at once, and what has ended is not ended by an order.
func (o *operator) standing(ctx context.Context, lane queue.Lane, id envelope.MessageID, info *cancelInfo) error {
	state, err := o.redis.State(ctx, lane, id.String())
	switch {
	case forbidden(err):
		return nil // the user may not read states: the order is kept, and that is all that can be said
	case err != nil:
		return err
	case state.Phase == queue.PhaseRunning:
		info.Status = "running"
	case state.Phase == queue.PhaseDone || state.Phase == queue.PhaseDead:
		info.Status, info.Result = "ended", string(state.Phase)
	}
	return nil
}

// awaitEnd waits for the task's result and says in info what it is.
func (o *operator) awaitEnd(ctx context.Context, id envelope.MessageID, info *cancelInfo) error {
	within, cancel := context.WithTimeout(ctx, o.flags.timeout)
	defer cancel()
	raw, err := waitFor(within, o.results, o.file.Queue, o.key.Public().ID().String(), id.String())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil // the order is kept
	case err != nil:
		return err
	}
	r, err := envelope.OpenResult(raw, o.workers)
	if err != nil || r.ID != id || r.Audience != o.file.Audience || r.Queue != o.file.Queue {
		return errors.Join(errors.New("the result in the broker is not a worker's for this task"), err)
	}
	info.Status, info.Result, info.Code = "ended", string(r.Status), r.Code
	if r.Code == runtime.CodeCancelled {
		info.Status = "cancelled"
	}
	return nil
}

func printCancel(w io.Writer, info cancelInfo) error {
	text := "ordered: it is ended when a worker meets it; caisson task show " + info.ID
	switch info.Status {
	case "cancelled":
		text = "cancelled"
	case "ended":
		text = "had ended: " + info.Result
		if info.Code != "" {
			text += " " + info.Code
		}
	}
	_, err := fmt.Fprintf(w, "task %s %s\n", info.ID, text)
	return err
}
