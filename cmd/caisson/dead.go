package main

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

func deadCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters; requeue and purge them",
		Long: `A dead letter is a message that ended without a run that counted: refused, its attempts used up, or quarantined. It keeps
the message, the code, the worker and the time; about 10,000 of a queue are kept. To requeue and to purge are orders, as with caisson queue.`,
		Example: "  caisson dead list --code policy.denied\n  caisson dead requeue --code task.crashed\n  caisson dead purge --all --yes",
	}
	c.AddCommand(deadListCommand(), deadShowCommand(), deadRequeueCommand(), deadPurgeCommand())
	return c
}

// deadInfo is a dead letter.
type deadInfo struct {
	Entry    string    `json:"entry"`
	At       time.Time `json:"at"`
	Code     string    `json:"code"`
	Reason   string    `json:"reason,omitempty"`
	Queue    string    `json:"queue"`
	Tenant   string    `json:"tenant,omitempty"`
	Priority string    `json:"priority,omitempty"`
	ID       string    `json:"id,omitempty"` // none when the message was never verified
	Worker   string    `json:"worker,omitempty"`
	Bytes    int       `json:"bytes"`
	Message  []byte    `json:"message,omitempty"` // as it lay in the lane; of dead show only
}

func deadInfoOf(d queue.DeadLetter) deadInfo {
	info := deadInfo{Entry: d.Entry, At: d.At.UTC(), Code: d.Code, Reason: d.Reason, Queue: d.Lane.Queue, ID: d.ID, Worker: d.Worker, Bytes: len(d.Message)}
	if d.Lane.Tenant != "" {
		info.Tenant, info.Priority = d.Lane.Tenant, d.Lane.Priority.String()
	}
	return info
}

// deadFlags choose dead letters.
type deadFlags struct {
	operatorFlags
	queue  string
	code   string
	tenant string
	id     string
	before string
	all    bool
	limit  int
}

func (f *deadFlags) addFilter(c *cobra.Command) {
	c.Flags().StringVarP(&f.queue, "queue", "q", "", "queue (default: the one in the settings)")
	c.Flags().StringVar(&f.code, "code", "", "only those with this code, such as policy.denied")
	c.Flags().StringVar(&f.tenant, "tenant", "", "only those of this tenant")
	c.Flags().StringVar(&f.id, "id", "", "only those of the task of this id")
	c.Flags().StringVar(&f.before, "before", "", "only those that died before this time, or longer ago than this")
}

// filter makes the filter of the flags. entry is "" or the one letter meant.
func (f *deadFlags) filter(entry string) (queue.DeadFilter, error) {
	filter := queue.DeadFilter{Entry: entry, Code: f.code, Tenant: f.tenant, ID: f.id}
	if f.before != "" {
		at, err := time.Parse(time.RFC3339, f.before)
		if err != nil {
			age, bad := time.ParseDuration(f.before)
			if bad != nil || age < 0 {
				return filter, misuse("--before: %q is neither a time such as 2026-01-02T15:04:05Z nor an age such as 2h", f.before)
			}
			at = time.Now().Add(-age)
		}
		filter.Before = at
	}
	if f.id != "" {
		if _, err := envelope.ParseMessageID(f.id); err != nil {
			return filter, misuse("--id: %v", err)
		}
	}
	if err := filter.Check(); err != nil {
		return filter, misused(err)
	}
	return filter, nil
}

func deadListCommand() *cobra.Command {
	f := deadFlags{}
	c := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, oldest first",
		Example: "  caisson dead list --code policy.denied --tenant acme\n  caisson dead list --before 24h --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := f.filter("")
			if err != nil {
				return err
			}
			if f.limit < 1 {
				return misuse("--limit: %d is not 1 or more", f.limit)
			}
			o, err := connectOperator(f.operatorFlags, f.queue)
			if err != nil {
				return err
			}
			defer o.close()
			return o.listDead(c, filter, f.limit)
		},
	}
	f.add(c, shape{"", deadInfo{}})
	f.addFilter(c)
	c.Flags().IntVar(&f.limit, "limit", 100, "at most so many")
	return c
}

func (o *operator) listDead(c *cobra.Command, filter queue.DeadFilter, limit int) error {
	w := c.OutOrStdout()
	if !o.flags.json {
		fmt.Fprintf(w, "%-20s %-20s %-24s %-16s %-32s %s\n", "entry", "at", "code", "tenant", "id", "reason")
	}
	for after := ""; ; {
		page, err := o.redis.DeadLetters(c.Context(), o.file.Queue, after, queue.PageMax)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, d := range page {
			after = d.Entry
			if !filter.Match(d) {
				continue
			}
			if err := printDeadLine(w, deadInfoOf(d), o.flags.json); err != nil {
				return err
			}
			if limit--; limit == 0 {
				return nil
			}
		}
	}
}

func printDeadLine(w io.Writer, d deadInfo, asJSON bool) error {
	if asJSON {
		return printJSON(w, d)
	}
	// Code, tenant and reason may be anybody's words: Redis is not to be trusted with the terminal.
	_, err := fmt.Fprintf(w, "%-20s %-20s %-24s %-16s %-32s %s\n", oneLine(d.Entry), d.At.Format(time.RFC3339), oneLine(d.Code), oneLine(d.Tenant), oneLine(d.ID), oneLine(d.Reason))
	return err
}

func deadShowCommand() *cobra.Command {
	f := deadFlags{}
	c := &cobra.Command{
		Use:   "show ENTRY",
		Short: "Show one dead letter; its message goes to a file with --out",
		Long: `The message is what lay in the lane: verify it with caisson policy explain FILE, which also says why it was refused. With --json it
is there as base64.`,
		Example: "  caisson dead show 1700000000000-0\n  caisson dead show 1700000000000-0 --out letter.msg && caisson policy explain letter.msg --policy policy.toml",
		Args:    exactly("ENTRY"),
	}
	out := ""
	c.RunE = func(c *cobra.Command, args []string) error {
		o, err := connectOperator(f.operatorFlags, f.queue)
		if err != nil {
			return err
		}
		defer o.close()
		d, err := o.letter(c, args[0])
		if err != nil {
			return err
		}
		if out != "" {
			if err := writeNew(out, d.Message, 0o600); err != nil {
				return err
			}
		}
		info := deadInfoOf(d)
		if f.json {
			info.Message = d.Message
			return printJSON(c.OutOrStdout(), info)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "entry    %s\nat       %s\ncode     %s\nreason   %s\nqueue    %s\ntenant   %s\npriority %s\nid       %s\nworker   %s\nmessage  %d bytes\n",
			oneLine(info.Entry), info.At.Format(time.RFC3339), oneLine(info.Code), oneLine(info.Reason), info.Queue, info.Tenant, info.Priority, oneLine(info.ID), oneLine(info.Worker), info.Bytes)
		return err
	}
	f.add(c, shape{"", deadInfo{}})
	c.Flags().StringVarP(&f.queue, "queue", "q", "", "queue (default: the one in the settings)")
	c.Flags().StringVarP(&out, "out", "o", "", "write the message to this new file")
	return c
}

// letter finds the letter of an entry: the one after the entry before it.
func (o *operator) letter(c *cobra.Command, entry string) (queue.DeadLetter, error) {
	if !utf8.ValidString(entry) {
		return queue.DeadLetter{}, misuse("ENTRY is no entry")
	}
	d, err := o.redis.DeadLetter(c.Context(), o.file.Queue, entry)
	var field *queue.FieldError
	if errors.As(err, &field) {
		return d, misused(err)
	}
	if err == nil && d.Entry == "" {
		err = &hintError{fmt.Errorf("no dead letter %s in queue %s", oneLine(entry), o.file.Queue), "caisson dead list"}
	}
	return d, err
}

// deadOrder is what requeue and purge have in common.
func deadOrder(c *cobra.Command, f *deadFlags, args []string, act envelope.Act, did string) error {
	entry := ""
	if len(args) == 1 {
		entry = args[0]
	}
	filter, err := f.filter(entry)
	if err != nil {
		return err
	}
	chosen := filter != queue.DeadFilter{}
	switch {
	case entry != "" && f.id != "":
		return misuse("an entry and --id: one of them says it")
	case chosen == f.all:
		return misuse("which letters? Name an entry or a filter, or say --all").withHint("%s --help", c.CommandPath())
	}
	o, err := connectOperator(f.operatorFlags, f.queue)
	if err != nil {
		return err
	}
	defer o.close()
	target := entry
	if target == "" {
		target = f.id
	}
	return o.once(c, envelope.Order{Act: act, Tenant: f.tenant, Target: target, Code: f.code, Before: filter.Before}, did)
}

func deadRequeueCommand() *cobra.Command {
	f := deadFlags{}
	c := &cobra.Command{
		Use:   "requeue [ENTRY]",
		Short: "Put dead letters back into their lanes, as if they had never been met",
		Long: `Chooses one entry, or by filter, or with --all every letter that died before this moment. Attempts and crashes are counted anew. A
message that has expired, or that the policy still refuses, becomes a dead letter again.

All workers of the queue carry the order out. The number is that of the one that answered first: of hundreds of letters others may have done a part.`,
		Example: "  caisson dead requeue 1700000000000-0\n  caisson dead requeue --code policy.denied --tenant acme\n  caisson dead requeue --before 2026-01-02T15:04:05Z\n  caisson dead requeue --all",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return deadOrder(c, &f, args, envelope.ActRequeue, "requeued")
		},
	}
	f.addOrder(c)
	f.addFilter(c)
	c.Flags().BoolVar(&f.all, "all", false, "every dead letter of the queue")
	return c
}

func deadPurgeCommand() *cobra.Command {
	f, yes := deadFlags{}, false
	c := &cobra.Command{
		Use:     "purge [ENTRY]",
		Short:   "Forget dead letters, for good",
		Long:    `Chooses, and counts, as caisson dead requeue does. It needs --yes.`,
		Example: "  caisson dead purge --code envelope.signature --yes\n  caisson dead purge --before 72h --yes\n  caisson dead purge --all --yes",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				return misuse("purge forgets messages for good; say --yes")
			}
			return deadOrder(c, &f, args, envelope.ActPurgeDead, "purged")
		},
	}
	f.addOrder(c)
	f.addFilter(c)
	c.Flags().BoolVar(&f.all, "all", false, "every dead letter of the queue")
	c.Flags().BoolVar(&yes, "yes", false, "really")
	return c
}
