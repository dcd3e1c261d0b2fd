package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// clientFlags are what every verb of task takes.
type clientFlags struct {
	config string
	queue  string
	json   bool
}

func (f *clientFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.config, "config", "c", "client.toml", "who sends, to where")
	c.Flags().StringVarP(&f.queue, "queue", "q", "", "queue (default: the one in client.toml)")
	jsonFlag(c, &f.json)
}

func taskCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "task",
		Short:   "Send tasks, wait for them, look at them",
		Example: "  caisson task send text.upper --input '\"hello\"' --wait",
	}
	c.AddCommand(taskSendCommand(), taskWaitCommand(), taskShowCommand())
	return c
}

// sendFlags are those of task send alone.
type sendFlags struct {
	clientFlags
	input    string
	file     string
	within   time.Duration
	delay    time.Duration
	attempts int
	priority string
	caps     []string
	module   string
	wait     bool
	timeout  time.Duration
}

func taskSendCommand() *cobra.Command {
	f := sendFlags{}
	c := &cobra.Command{
		Use:   "send TASK",
		Short: "Sign a task and send it",
		Long: `Prints the task's id, or with --wait its result. The input is given with --input, or read from --file
("-" is stdin); it goes to the task as it stands.`,
		Example: "  caisson task send text.upper --input '\"hello\"' --wait\n  caisson task send image.thumbnail --file request.json --within 10m",
		Args:    exactly("TASK"),
		RunE:    func(c *cobra.Command, args []string) error { return runSend(c, args[0], f) },
	}
	f.add(c)
	c.Flags().StringVarP(&f.input, "input", "i", "", "the input itself")
	c.Flags().StringVarP(&f.file, "file", "f", "", "file with the input, - for stdin")
	c.Flags().DurationVar(&f.within, "within", 0, "expire unless begun within this time (default 1h)")
	c.Flags().DurationVar(&f.delay, "delay", 0, "do not begin before this time has passed")
	c.Flags().IntVar(&f.attempts, "attempts", 0, "at most so many runs (default: the manifest's)")
	c.Flags().StringVar(&f.priority, "priority", "normal", "high, normal or low")
	c.Flags().StringArrayVar(&f.caps, "cap", nil, "narrow the task to this capability; may be repeated")
	c.Flags().StringVar(&f.module, "module", "", "pin the module's digest, sha256:...")
	c.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the result and print it")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "with --wait: give up after this time")
	c.MarkFlagsMutuallyExclusive("input", "file")
	return c
}

// task makes the client's task of the flags.
func (f sendFlags) task(name string, stdin io.Reader) (client.Task, error) {
	t := client.Task{Name: name, Payload: []byte(f.input), ContentType: "application/json", Within: f.within, Attempts: f.attempts}
	if f.file != "" {
		source := stdin
		if f.file != "-" {
			file, err := os.Open(f.file)
			if err != nil {
				return t, err
			}
			defer file.Close()
			source = file
		}
		data, err := readAll(source, f.file, inputFileMax)
		if err != nil {
			return t, err
		}
		t.Payload = data
	}
	if !json.Valid(t.Payload) {
		t.ContentType = "application/octet-stream"
	}
	if f.delay > 0 {
		t.NotBefore = time.Now().Add(f.delay)
	}
	if f.module != "" {
		digest, err := envelope.ParseDigest(f.module)
		if err != nil {
			return t, misuse("--module: %v", err)
		}
		t.Module = digest
	}
	switch t.Priority = client.Priority(f.priority); t.Priority {
	case client.High, client.Normal, client.Low:
	default:
		return t, misuse("--priority: %q is none of high, normal, low", f.priority)
	}
	t.Narrowed, t.Caps = len(f.caps) > 0, f.caps
	return t, nil
}

func runSend(c *cobra.Command, name string, f sendFlags) error {
	t, err := f.task(name, c.InOrStdin())
	if err != nil {
		return err
	}
	conn, err := connect(f.config, f.queue)
	if err != nil {
		return err
	}
	defer conn.close()
	receipt, err := conn.client.Send(c.Context(), t)
	if err != nil {
		return err
	}
	if f.wait {
		return waitAndPrint(c, conn, receipt, f.timeout, f.json)
	}
	if f.json {
		return printJSON(c.OutOrStdout(), map[string]string{"id": receipt.ID.String(), "digest": receipt.Digest.String(), "queue": receipt.Queue})
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), receipt.ID)
	return err
}

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
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time")
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
	result, err := conn.client.Wait(ctx, r)
	if errors.Is(err, context.DeadlineExceeded) {
		return (&statusError{exitFailed, fmt.Errorf("task %s has no result after %v", r.ID, timeout)}).withHint("caisson task show %s", r.ID)
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

// printOutput writes text with a line's end and anything else untouched.
func printOutput(w io.Writer, output []byte) error {
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
	Started  time.Time       `json:"started"`
	Finished time.Time       `json:"finished"`
	Worker   string          `json:"worker"`
	Output   json.RawMessage `json:"output,omitempty"`
	Bytes    []byte          `json:"output_base64,omitempty"`
}

func describeResult(r envelope.Result) resultInfo {
	info := resultInfo{ID: r.ID.String(), Task: r.Task, Status: string(r.Status), Code: r.Code, Error: r.Error,
		Attempt: r.Attempt, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Worker: r.Worker.String()}
	if json.Valid(r.Output) {
		info.Output = r.Output
	} else {
		info.Bytes = r.Output
	}
	return info
}
