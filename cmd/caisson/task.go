package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/manifest/capability"
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
	out      string
	wait     bool
	timeout  time.Duration
}

func taskSendCommand() *cobra.Command {
	f := sendFlags{}
	c := &cobra.Command{
		Use:   "send TASK",
		Short: "Sign a task and send it",
		Long: `Prints the task's id, or with --wait its result. The input is given with --input, or read from --file
("-" is stdin); it goes to the task as it stands.

With --out nothing is sent: the signed message goes into a new file, or with "-" to stdout, for caisson policy explain.
Whoever has it and can write to the broker can have the task run once, until it expires.`,
		Example: "  caisson task send text.upper --input '\"hello\"' --wait\n  caisson task send image.thumbnail --file request.json --within 10m\n" +
			"  caisson task send text.upper --out - | caisson policy explain - --policy policy.toml",
		Args: exactly("TASK"),
		RunE: func(c *cobra.Command, args []string) error { return runSend(c, args[0], f) },
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
	c.Flags().StringVarP(&f.out, "out", "o", "", "write the signed message to this file, - for stdout, and send nothing")
	c.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the result and print it")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "with --wait: give up after this time (default: never)")
	c.MarkFlagsMutuallyExclusive("input", "file")
	c.MarkFlagsMutuallyExclusive("out", "wait")
	return c
}

// check refuses flags that would quietly mean something else, such as --file "$UNSET".
func (f sendFlags) check(c *cobra.Command) error {
	for _, name := range []string{"file", "out", "module", "queue"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return misuse("--%s: is empty", name)
		}
	}
	switch {
	case f.delay < 0:
		return misuse("--delay: %v is in the past", f.delay)
	case f.timeout != 0 && !f.wait:
		return misuse("--timeout: is for --wait")
	case f.out == "-" && f.json:
		return misuse("--out: with --json it must be a file, stdout is taken")
	}
	return checkTimeout(f.timeout)
}

func checkTimeout(d time.Duration) error {
	if d < 0 {
		return misuse("--timeout: %v is negative", d)
	}
	return nil
}

// task makes the client's task of the flags. What is read from stdin is read last, so that no fault waits for it.
func (f sendFlags) task(ctx context.Context, name string, stdin io.Reader) (client.Task, error) {
	t := client.Task{Name: name, Payload: []byte(f.input), Within: f.within, Attempts: f.attempts}
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
	for _, line := range f.caps {
		if _, err := capability.Parse(line); err != nil {
			return t, misuse("--cap: %v", err)
		}
	}
	t.Narrowed, t.Caps = len(f.caps) > 0, f.caps
	var err error
	switch f.file {
	case "":
	case "-":
		t.Payload, err = readStdin(ctx, stdin, inputFileMax)
	default:
		t.Payload, err = readFile(f.file, inputFileMax)
	}
	t.ContentType = "application/octet-stream"
	if utf8.Valid(t.Payload) && json.Valid(t.Payload) {
		t.ContentType = "application/json"
	}
	return t, err
}

func runSend(c *cobra.Command, name string, f sendFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	conn, err := connect(f.config, f.queue)
	if err != nil {
		return err
	}
	defer conn.close()
	t, err := f.task(c.Context(), name, c.InOrStdin())
	if err != nil {
		return err
	}
	receipt, err := conn.client.Sign(t)
	var bad *client.TaskError
	if errors.As(err, &bad) {
		return misused(fmt.Errorf("task %q: %w", name, bad.Err))
	}
	if err != nil {
		return err
	}
	if f.out != "" {
		return writeMessage(c, receipt, f)
	}
	if err := conn.client.Resend(c.Context(), []client.Receipt{receipt}); err != nil {
		return err
	}
	if f.wait {
		return waitAndPrint(c, conn, receipt, f.timeout, f.json)
	}
	return printReceipt(c, receipt, f)
}

// writeMessage writes the signed message instead of sending it.
func writeMessage(c *cobra.Command, r client.Receipt, f sendFlags) error {
	if f.out == "-" {
		_, err := c.OutOrStdout().Write(r.Message)
		return err
	}
	if err := writeNew(f.out, r.Message, 0o600); err != nil {
		return err
	}
	return printReceipt(c, r, f)
}

// receiptInfo is what is shown of a message that was signed.
type receiptInfo struct {
	ID      string    `json:"id"`
	Digest  string    `json:"digest"`
	Queue   string    `json:"queue"`
	Task    string    `json:"task"`
	Expires time.Time `json:"expires"`
	File    string    `json:"file,omitempty"` // with the message, when it was not sent
}

func printReceipt(c *cobra.Command, r client.Receipt, f sendFlags) error {
	if f.json {
		return printJSON(c.OutOrStdout(), receiptInfo{r.ID.String(), r.Digest.String(), r.Queue, r.Task, r.Expires.UTC(), f.out})
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), r.ID)
	return err
}
