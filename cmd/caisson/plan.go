package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

func planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "plan",
		Short:   "Send tasks that come after one another",
		Example: "  caisson plan send plan.toml --wait\n  caisson plan show 0192f3a4b5c6d7e8f901234567890abc --file plan.toml",
	}
	c.AddCommand(planCheckCommand(), planSendCommand(), planWaitCommand(), planShowCommand(), planCancelCommand())
	return c
}

// planFileInfo is a plan's file that is without fault.
type planFileInfo struct {
	File  string `json:"file"`
	Steps int    `json:"steps"`
}

func planCheckCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "check FILE",
		Short:   "Report every fault of a plan with its line",
		Example: "  caisson plan check plan.toml",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, r, err := readPlan(args[0])
			if err != nil {
				if r != nil {
					return r.file.Err() // what was asked for, and no misuse
				}
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), planFileInfo{args[0], len(p.Steps)})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "steps %d\nok    %s\n", len(p.Steps), oneLine(args[0]))
			return err
		},
	}
	jsonFlag(c, &asJSON, shape{"", planFileInfo{}})
	return c
}

func planSendCommand() *cobra.Command {
	f, wait, timeout := clientFlags{}, false, time.Duration(0)
	c := &cobra.Command{
		Use:   "send FILE",
		Short: "Sign a plan and send all of its steps",
		Long: `Signs all steps with one signature and sends them at once; each waits in the broker until those that it comes after are done. Prints
the plan's id, or with --json its receipt, with the ids and digests of the steps, for caisson plan wait and show.

With --wait it waits as caisson plan wait does.`,
		Example: "  caisson plan send plan.toml --wait\n  caisson plan send plan.toml --json > receipt.json",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case timeout != 0 && !wait:
				return misuse("--timeout: is for --wait")
			case timeout < 0:
				return checkTimeout(timeout)
			}
			p, r, err := readPlan(args[0])
			if err != nil {
				return err
			}
			if f.queue != "" {
				p.Queue = f.queue
			}
			conn, err := connect(f.config, p.Queue)
			if err != nil {
				return err
			}
			defer conn.close()
			receipt, err := r.sign(conn.client, p)
			if err != nil {
				return err
			}
			if err := conn.client.Resend(c.Context(), receipt.Receipts()); err != nil {
				return &hintError{err, "some of it may have been sent all the same: caisson plan cancel " + receipt.ID.String()}
			}
			switch {
			case wait:
				return waitForPlan(c, conn, receipt, timeout, f.json)
			case f.json:
				return printJSON(c.OutOrStdout(), receipt)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), receipt.ID)
			return err
		},
	}
	f.add(c, shape{"", client.PlanReceipt{}}, shape{"--wait", stepInfo{}})
	c.Flags().BoolVarP(&wait, "wait", "w", false, "wait for the plan to end and print its results")
	c.Flags().DurationVar(&timeout, "timeout", 0, "with --wait: give up after this time; 0s, the default: never")
	return c
}

// planRef says which plan is meant: by its receipt's file, or by its id and the plan's file.
type planRef struct {
	clientFlags
	file string
}

func (f *planRef) add(c *cobra.Command, s shape) {
	f.clientFlags.add(c, s)
	c.Flags().StringVarP(&f.file, "file", "f", "plan.toml", "the plan that was sent, for an ID")
}

// find connects and returns the receipt of the plan that is meant. A receipt knows the digests of what was sent; an id and a file
// do not.
func (f *planRef) find(arg string) (*connection, client.PlanReceipt, error) {
	var kept client.PlanReceipt
	id, err := envelope.ParseMessageID(arg)
	if err != nil {
		if kept, err = readReceipt(arg); err != nil {
			return nil, kept, err
		}
		conn, err := connect(f.config, kept.Queue)
		return conn, kept, err
	}
	p, _, err := readPlan(f.file)
	if err != nil {
		return nil, kept, err
	}
	if f.queue != "" {
		p.Queue = f.queue
	}
	conn, err := connect(f.config, p.Queue)
	if err != nil {
		return nil, kept, err
	}
	if kept, err = conn.client.RecallPlan(id, p); err != nil {
		conn.close()
		return nil, kept, err
	}
	return conn, kept, nil
}

// readReceipt reads what plan send --json printed.
func readReceipt(path string) (client.PlanReceipt, error) {
	var r client.PlanReceipt
	text, err := readFile(path, textFileMax)
	if err != nil {
		return r, misuse("%q is no id of a plan, and no receipt: %v", path, err)
	}
	if err := json.Unmarshal(text, &r); err != nil || r.ID.IsZero() || len(r.Steps) == 0 || len(r.Steps) > client.StepsMax {
		return r, misuse("%s: is not what caisson plan send --json prints", path)
	}
	return r, nil
}

func planWaitCommand() *cobra.Command {
	f, timeout := planRef{}, time.Duration(0)
	c := &cobra.Command{
		Use:   "wait ID|RECEIPT",
		Short: "Wait for a plan, check the workers' signatures, print its results",
		Long: `Ends when all steps that no other comes after are done, or at the first step that was not, which it names; what comes after such a step is refused, plan.input, by
itself. One result is printed as it is; several, one a line after the step's name. With --json each step's result is one line, as it comes.

RECEIPT is a file with what plan send --json printed; with it only results for exactly those messages are believed. With an ID, the plan's
file says which steps there are.

Exit status 0 when the plan is done, 1 when a step failed, 3 when one was refused.`,
		Example: "  caisson plan wait receipt.json --timeout 1m\n  caisson plan wait 0192f3a4b5c6d7e8f901234567890abc --file plan.toml",
		Args:    exactly("ID or RECEIPT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkTimeout(timeout); err != nil {
				return err
			}
			conn, receipt, err := f.find(args[0])
			if err != nil {
				return err
			}
			defer conn.close()
			conn.sayIfAway(c, receipt.Steps[0].Receipt, timeout)
			return waitForPlan(c, conn, receipt, timeout, f.json)
		},
	}
	f.add(c, shape{"", stepInfo{}})
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time; 0s, the default: never")
	return c
}

// stepInfo is a step's result for programs.
type stepInfo struct {
	Step string `json:"step"`
	resultInfo
}

func waitForPlan(c *cobra.Command, conn *connection, r client.PlanReceipt, timeout time.Duration, asJSON bool) error {
	ctx := c.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	conn.warn = c.ErrOrStderr()
	var printed error
	results, err := conn.client.WaitPlan(ctx, r, func(s client.StepReceipt, result envelope.Result, _ error) {
		if asJSON && printed == nil {
			printed = printJSON(c.OutOrStdout(), stepInfo{s.Step, describeResult(result)})
		}
	})
	switch {
	case printed != nil:
		return printed
	case errors.Is(err, context.DeadlineExceeded):
		return timeUp(fmt.Sprintf("plan %s has not ended after %v", r.ID, timeout), err)
	case err != nil && c.Context().Err() != nil:
		return fmt.Errorf("interrupted; the plan itself goes on, %s", r.ID)
	case err != nil || asJSON:
		return err
	}
	for _, s := range r.Steps {
		result, last := results[s.Step]
		switch {
		case !last:
		case len(results) == 1:
			return printOutput(c.OutOrStdout(), result.Output)
		default:
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s\n", s.Step, oneLine(strings.TrimRight(string(result.Output), "\n"))); err != nil {
				return err
			}
		}
	}
	return nil
}

// planInfo is what can be told of a plan.
type planInfo struct {
	ID    string         `json:"id"`
	Queue string         `json:"queue"`
	Steps []planStepInfo `json:"steps"`
}

type planStepInfo struct {
	Step  string   `json:"step"`
	After []string `json:"after,omitempty"`
	taskInfo
}

func planShowCommand() *cobra.Command {
	f := planRef{}
	c := &cobra.Command{
		Use:   "show ID|RECEIPT",
		Short: "Show where each step of a plan stands",
		Long: `States are the broker's word, as in caisson task show: a step that waits for others is "unknown" until a worker has seen it. How a step ended is shown only
if a worker that client.toml lists signed it.`,
		Example: "  caisson plan show receipt.json\n  caisson plan show 0192f3a4b5c6d7e8f901234567890abc --file plan.toml --json",
		Args:    exactly("ID or RECEIPT"),
		RunE: func(c *cobra.Command, args []string) error {
			conn, receipt, err := f.find(args[0])
			if err != nil {
				return err
			}
			defer conn.close()
			info := planInfo{ID: receipt.ID.String(), Queue: receipt.Queue}
			for _, s := range receipt.Steps {
				task, err := showTask(c, conn, s.ID)
				if err != nil {
					return fmt.Errorf("step %s: %w", s.Step, err)
				}
				info.Steps = append(info.Steps, planStepInfo{s.Step, s.After, task})
			}
			if f.json {
				return printJSON(c.OutOrStdout(), info)
			}
			return printPlan(c, info)
		},
	}
	f.add(c, shape{"", planInfo{}})
	return c
}

func printPlan(c *cobra.Command, info planInfo) error {
	table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tID\tPHASE\tSTATUS\tAFTER")
	for _, s := range info.Steps {
		status := "-"
		if s.Result != nil {
			status = s.Result.Status
			if s.Result.Code != "" {
				status += " " + s.Result.Code
			}
		}
		after := "-"
		if len(s.After) > 0 {
			after = strings.Join(s.After, ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", oneLine(s.Step), s.ID, s.Phase, status, oneLine(after))
	}
	return table.Flush()
}
