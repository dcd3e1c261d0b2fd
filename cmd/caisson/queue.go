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

func queueCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "queue",
		Short: "Look at queues; pause, resume, drain and purge them",
		Long: `What changes anything is an order, signed with the operate key of operator.toml: workers check the signature and the policy
before they obey, and sign their answer. Whoever can write to Redis but has no such key can order nothing.`,
		Example: "  caisson queue list --policy policy.toml\n  caisson queue pause default --for 1h --note 'database is moving'",
	}
	c.AddCommand(queueListCommand(), queueDepthCommand(), queuePauseCommand(), queueResumeCommand(), queueDrainCommand(), queuePurgeCommand())
	return c
}

// queueInfo is the state of a queue.
type queueInfo struct {
	Queue   string `json:"queue"`
	Mode    string `json:"mode"` // running, paused, unverified (signed by a key that is not known here), hidden
	Waiting int64  `json:"waiting"`
	Running int64  `json:"running"`
	Due     int64  `json:"due"`
	Dead    int64  `json:"dead"`
}

// look counts one queue.
func (o *operator) look(ctx context.Context, name string) (queueInfo, []queue.Depth, error) {
	lanes, err := o.lanes(name)
	if err != nil {
		return queueInfo{}, nil, err
	}
	d, err := o.redis.Depth(ctx, lanes)
	if err != nil {
		return queueInfo{}, nil, err
	}
	info := queueInfo{Queue: name, Due: d.Due[name], Dead: d.Dead[name]}
	for _, l := range d.Lanes {
		info.Waiting, info.Running = info.Waiting+l.Waiting, info.Running+l.Running
	}
	info.Mode, err = o.mode(ctx, name)
	return info, d.Lanes, err
}

func queueListCommand() *cobra.Command {
	f := operatorFlags{}
	c := &cobra.Command{
		Use:   "list [QUEUE...]",
		Short: "Show how queues stand: paused or running, and how much waits, runs, is due and is dead",
		Long: `Without arguments it is the queue of the settings. Waiting and running are counted over the lanes of the tenants looked at; due
(parked, or to be retried) and dead are the whole queue's. Mode is that of the order that Redis keeps, and "unverified" when that
is signed by a key that neither the settings nor --policy know. Workers obey the newest that they know, whatever stands in Redis: /readyz of each says what is paused.`,
		Example: "  caisson queue list --tenant acme\n  caisson queue list default mail --policy policy.toml --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := connectOperator(f, "")
			if err != nil {
				return err
			}
			defer o.close()
			if len(args) == 0 {
				args = []string{o.file.Queue}
			}
			var all []queueInfo
			for _, name := range args {
				if err := ask.NameFault(name); err != "" {
					return misuse("queue: %s", err)
				}
				info, _, err := o.look(c.Context(), name)
				if err != nil {
					return err
				}
				all = append(all, info)
			}
			return printQueues(c.OutOrStdout(), all, f.json)
		},
	}
	f.add(c, shape{"", queueInfo{}})
	f.addLanes(c)
	return c
}

func printQueues(w io.Writer, all []queueInfo, asJSON bool) error {
	if !asJSON {
		fmt.Fprintf(w, "%-24s %-10s %10s %10s %10s %10s\n", "queue", "mode", "waiting", "running", "due", "dead")
	}
	for _, q := range all {
		if asJSON {
			if err := printJSON(w, q); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%-24s %-10s %10d %10d %10d %10d\n", q.Queue, q.Mode, q.Waiting, q.Running, q.Due, q.Dead); err != nil {
			return err
		}
	}
	return nil
}

// laneInfo is the state of a lane.
type laneInfo struct {
	Queue    string `json:"queue"`
	Tenant   string `json:"tenant"`
	Priority string `json:"priority"`
	Waiting  int64  `json:"waiting"`
	Running  int64  `json:"running"`
}

func queueDepthCommand() *cobra.Command {
	f := operatorFlags{}
	c := &cobra.Command{
		Use:     "depth QUEUE",
		Short:   "Count what waits and runs in each lane of a queue",
		Example: "  caisson queue depth default --tenant acme --tenant globex",
		Args:    exactly("QUEUE"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := connectOperator(f, args[0])
			if err != nil {
				return err
			}
			defer o.close()
			_, lanes, err := o.look(c.Context(), args[0])
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			if !f.json {
				fmt.Fprintf(w, "%-24s %-8s %10s %10s\n", "tenant", "priority", "waiting", "running")
			}
			for _, l := range lanes {
				if f.json {
					err = printJSON(w, laneInfo{l.Lane.Queue, l.Lane.Tenant, l.Lane.Priority.String(), l.Waiting, l.Running})
				} else {
					_, err = fmt.Fprintf(w, "%-24s %-8s %10d %10d\n", l.Lane.Tenant, l.Lane.Priority, l.Waiting, l.Running)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.add(c, shape{"", laneInfo{}})
	f.addLanes(c)
	return c
}

func queuePauseCommand() *cobra.Command {
	f, life := operatorFlags{}, time.Duration(0)
	c := &cobra.Command{
		Use:   "pause QUEUE",
		Short: "Let nothing more of a queue begin; what runs goes on",
		Long: `The pause ends with caisson queue resume, or by itself after --for. It holds for workers that start later, too.
Senders can go on sending.`,
		Example: "  caisson queue pause default --for 1h --note 'database is moving'",
		Args:    exactly("QUEUE"),
		RunE: func(c *cobra.Command, args []string) error {
			return setMode(c, f, args[0], envelope.ActPause, life)
		},
	}
	f.addOrder(c)
	c.Flags().DurationVar(&life, "for", 24*time.Hour, "how long the pause holds unless it is ended, up to 720h")
	return c
}

func queueResumeCommand() *cobra.Command {
	f := operatorFlags{}
	c := &cobra.Command{
		Use:     "resume QUEUE",
		Short:   "End a pause",
		Example: "  caisson queue resume default",
		Args:    exactly("QUEUE"),
		RunE: func(c *cobra.Command, args []string) error {
			return setMode(c, f, args[0], envelope.ActResume, envelope.ModeLifetimeMax)
		},
	}
	f.addOrder(c)
	return c
}

func setMode(c *cobra.Command, f operatorFlags, name string, act envelope.Act, life time.Duration) error {
	o, err := connectOperator(f, name)
	if err != nil {
		return err
	}
	defer o.close()
	return o.setMode(c, act, life)
}

// setMode gives an order to pause or resume and waits for an answer.
func (o *operator) setMode(c *cobra.Command, act envelope.Act, life time.Duration) error {
	s, err := o.sign(envelope.Order{Act: act}, life)
	if err != nil {
		return err
	}
	if err := o.redis.Mode(c.Context(), o.file.Queue, s.bytes, life); err != nil {
		return err
	}
	return o.finish(c, s, func(w io.Writer, _ orderInfo) error {
		word := map[envelope.Act]string{envelope.ActPause: "paused", envelope.ActResume: "resumed"}[act]
		if act == envelope.ActPause {
			word += " until " + s.order.Expires.UTC().Format(time.RFC3339)
		}
		_, err := fmt.Fprintf(w, "queue %s %s\n", o.file.Queue, word)
		return err
	}, "the order is kept, and counts for every worker that starts")
}

func queuePurgeCommand() *cobra.Command {
	f, yes, tenant := operatorFlags{}, false, ""
	c := &cobra.Command{
		Use:   "purge QUEUE",
		Short: "Forget what waits in a queue, for good; what runs goes on",
		Long: `Forgets what waited before this moment, in lanes and parked, of one tenant or of all. No results are left for it, and no
dead letters. It counts as caisson dead requeue does. It needs --yes.`,
		Example: "  caisson queue purge default --tenant acme --yes",
		Args:    exactly("QUEUE"),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				return misuse("purge forgets tasks for good; say --yes")
			}
			o, err := connectOperator(f, args[0])
			if err != nil {
				return err
			}
			defer o.close()
			return o.once(c, envelope.Order{Act: envelope.ActPurge, Tenant: tenant}, "purged")
		},
	}
	f.addOrder(c)
	c.Flags().StringVar(&tenant, "tenant", "", "of this tenant only")
	c.Flags().BoolVar(&yes, "yes", false, "really")
	return c
}

// once gives an order to carry out once, and says how many it was.
func (o *operator) once(c *cobra.Command, order envelope.Order, did string) error {
	s, err := o.sign(order, envelope.ActLifetimeMax)
	if err != nil {
		return err
	}
	if err := o.redis.Once(c.Context(), o.file.Queue, s.bytes); err != nil {
		return err
	}
	return o.finish(c, s, func(w io.Writer, info orderInfo) error {
		_, err := fmt.Fprintln(w, carriedOut(did, info.Count))
		return err
	}, fmt.Sprintf("the order is kept, and will be carried out if a worker hears it before %s", s.order.Expires.UTC().Format(time.RFC3339)))
}

// drainEvery is how often a queue that is being drained is counted.
const drainEvery = 500 * time.Millisecond

func queueDrainCommand() *cobra.Command {
	f, pause, life := operatorFlags{}, false, time.Duration(0)
	c := &cobra.Command{
		Use:   "drain QUEUE",
		Short: "Wait until nothing of a queue waits, runs or is due",
		Long: `Counts the lanes of the tenants looked at until all are empty and nothing is parked, and says on stderr how much is left. With
--pause the queue is paused then, so that what is sent later waits. Waiting has no end unless --timeout says one;
exit status 1 when something was left.`,
		Example: "  caisson queue drain default --policy policy.toml --timeout 10m --pause",
		Args:    exactly("QUEUE"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := connectOperator(f, args[0])
			if err != nil {
				return err
			}
			defer o.close()
			info, err := o.drain(c)
			if err != nil {
				return err
			}
			if pause {
				o.flags.timeout = answerDefault
				return o.setMode(c, envelope.ActPause, life)
			}
			if f.json {
				return printJSON(c.OutOrStdout(), info)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "queue %s is empty\n", o.file.Queue)
			return err
		},
	}
	f.add(c, shape{"", queueInfo{}}, shape{"--pause", orderInfo{}})
	f.addLanes(c)
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "give up after this time; 0s, the default: never")
	c.Flags().StringVar(&f.note, "note", "", "why it is paused, for the workers' logs")
	c.Flags().BoolVar(&pause, "pause", false, "pause the queue when it is empty")
	c.Flags().DurationVar(&life, "for", 24*time.Hour, "with --pause: how long the pause holds unless it is ended")
	return c
}

// drain waits until the queue is empty.
func (o *operator) drain(c *cobra.Command) (queueInfo, error) {
	ctx := c.Context()
	if o.flags.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.flags.timeout)
		defer cancel()
	}
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	last := queueInfo{}
	for {
		info, _, err := o.look(ctx, o.file.Queue)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && c.Context().Err() == nil:
			return info, fmt.Errorf("queue %s is not empty after %v: %d wait, %d run, %d are due", o.file.Queue, o.flags.timeout, last.Waiting, last.Running, last.Due)
		case err != nil:
			return info, err
		case info.Waiting+info.Running+info.Due == 0:
			return info, nil
		case info != last:
			fmt.Fprintf(c.ErrOrStderr(), "caisson: queue %s (%s): %d wait, %d run, %d are due\n", info.Queue, info.Mode, info.Waiting, info.Running, info.Due)
		}
		last = info
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// carriedOut says how many an order was done to, as a worker answered it. All workers of the queue carry it out, and where one act is
// not enough each does a part of it and knows no other's: then the number is that worker's alone.
func carriedOut(did string, count int) string {
	text := fmt.Sprintf("%s %d", did, count)
	if count >= runtime.ActMax {
		text += " by the worker that answered first, and what others did beside it"
	}
	return text
}
