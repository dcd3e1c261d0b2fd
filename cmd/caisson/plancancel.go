package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

func planCancelCommand() *cobra.Command {
	f := clientFlags{}
	c := &cobra.Command{
		Use:   "cancel ID|RECEIPT",
		Short: "Cancel what has not ended of a plan",
		Long: `Signs an order and leaves it in the broker for the workers, which hold it against policy: a submit key may cancel what its own principal
sent; for an operate key it is caisson task cancel with the plan's ID. Steps that wait never start, those that run are ended; each ends refused, task.cancelled.
What is done stays done.

The order is kept until an hour after the plan has expired, or for 25 hours when only its ID is given. caisson plan wait and show tell how the steps ended.`,
		Example: "  caisson plan cancel receipt.json\n  caisson plan cancel 0192f3a4b5c6d7e8f901234567890abc",
		Args:    exactly("ID or RECEIPT"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := envelope.ParseMessageID(args[0])
			kept := client.PlanReceipt{ID: id, Queue: f.queue}
			if err != nil {
				if kept, err = readReceipt(args[0]); err != nil {
					return err
				}
			}
			return cancelPlan(c, f, kept)
		},
	}
	f.add(c, shape{"", planOrderInfo{}})
	return c
}

// planOrderInfo is a plan of which an order to cancel is kept.
type planOrderInfo struct {
	Plan  string `json:"plan"`
	Queue string `json:"queue"`
}

func cancelPlan(c *cobra.Command, f clientFlags, kept client.PlanReceipt) error {
	if now := time.Now(); !kept.Expires.IsZero() && now.After(kept.Expires) {
		return fmt.Errorf("plan %s expired at %s: nothing of it runs any more", kept.ID, kept.Expires.UTC().Format(time.RFC3339))
	}
	conn, err := connect(f.config, kept.Queue)
	if err != nil {
		return err
	}
	defer conn.close()
	kept.Queue = conn.file.Queue
	if err := conn.client.CancelPlan(c.Context(), kept); err != nil {
		return err
	}
	if f.json {
		return printJSON(c.OutOrStdout(), planOrderInfo{kept.ID.String(), kept.Queue})
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), kept.ID)
	return err
}
