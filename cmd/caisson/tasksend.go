package main

import (
	"bytes"
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

// sendFlags are those of task send alone.
type sendFlags struct {
	clientFlags
	input     string
	file      string
	lines     string
	count     int
	id        string
	unique    string
	window    time.Duration
	within    time.Duration
	expires   string
	delay     time.Duration
	notBefore string
	attempts  int
	priority  string
	caps      []string
	module    string
	out       string
	wait      bool
	timeout   time.Duration
}

func taskSendCommand() *cobra.Command {
	f := sendFlags{}
	c := &cobra.Command{
		Use:   "send TASK",
		Short: "Sign a task and send it, or many at once",
		Long: `Prints the task's id, or with --wait its result. The input is given with --input, or read from --file
("-" is stdin); it goes to the task as it stands.

With --lines each line of a file is the input of a task of its own, and --count sends the same task so many times: all of them
have one signature and go out in one write. Then one id is printed a line, in their order, or with --wait what caisson task wait
prints of many.

With --unique, of all messages of the tenant and task with that key only the first runs within --window of its start; the
others are refused, task.duplicate, and their result is its id. The key is printable ASCII, 256 bytes at most.

With --out nothing is sent: the signed message goes into a new file, or with "-" to stdout, for caisson policy explain.
Whoever has it and can write to the broker can have the task run once, until it expires.`,
		Example: "  caisson task send text.upper --input '\"hello\"' --wait\n  caisson task send image.thumbnail --file request.json --within 10m\n" +
			"  caisson task send image.thumbnail --lines requests.jsonl --json > receipts.jsonl\n" +
			"  caisson task send report.build --unique monthly --window 1h --delay 5m\n" +
			"  caisson task send text.upper --out - | caisson policy explain - --policy policy.toml",
		Args: exactly("TASK"),
		RunE: func(c *cobra.Command, args []string) error { return runSend(c, args[0], f) },
	}
	f.add(c, shape{"", receiptInfo{}}, shape{"--wait", resultInfo{}})
	flags := c.Flags()
	flags.StringVarP(&f.input, "input", "i", "", "the input itself")
	flags.StringVarP(&f.file, "file", "f", "", "file with the input, - for stdin")
	flags.StringVar(&f.lines, "lines", "", "file with an input of JSON on each line, a task for each; - for stdin")
	flags.IntVar(&f.count, "count", 1, "send so many of it")
	flags.StringVar(&f.id, "id", "", "the id, 32 hexadecimal digits (default: a random one)")
	flags.StringVar(&f.unique, "unique", "", "run only the first with this key, within --window")
	flags.DurationVar(&f.window, "window", 0, "of --unique: from the first one's start, 1s to 24h")
	flags.DurationVar(&f.within, "within", 0, "expire unless begun within this time from now, which any delay is part of (default 1h)")
	flags.StringVar(&f.expires, "expires", "", "expire unless begun before this instant, RFC 3339")
	flags.DurationVar(&f.delay, "delay", 0, "do not begin before this time has passed")
	flags.StringVar(&f.notBefore, "not-before", "", "do not begin before this instant, RFC 3339")
	flags.IntVar(&f.attempts, "attempts", 0, "at most so many runs (default: the manifest's)")
	flags.StringVar(&f.priority, "priority", "normal", "high, normal or low")
	_ = c.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions([]string{"high", "normal", "low"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	flags.StringArrayVar(&f.caps, "cap", nil, "narrow the task to this capability; may be repeated")
	flags.StringVar(&f.module, "module", "", "pin the module's digest, sha256:...")
	flags.StringVarP(&f.out, "out", "o", "", "write the signed message to this file, - for stdout, and send nothing")
	flags.BoolVarP(&f.wait, "wait", "w", false, "wait for the result and print it")
	flags.DurationVar(&f.timeout, "timeout", 0, "with --wait: give up after this time; 0s, the default: never")
	for _, pair := range [][]string{
		{"input", "file", "lines"}, {"out", "wait"}, {"out", "lines"}, {"out", "count"}, {"lines", "count"}, {"id", "lines"}, {"id", "count"},
		{"delay", "not-before"}, {"within", "expires"},
	} {
		c.MarkFlagsMutuallyExclusive(pair...)
	}
	c.MarkFlagsRequiredTogether("unique", "window")
	return c
}

// check refuses flags that would quietly mean something else, such as --file "$UNSET".
func (f sendFlags) check(c *cobra.Command) error {
	for _, name := range []string{"file", "lines", "id", "unique", "expires", "not-before", "out", "module", "queue"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return misuse("--%s: is empty", name)
		}
	}
	switch {
	case f.delay < 0:
		return misuse("--delay: %v is in the past", f.delay)
	case f.count < 1 || f.count > client.BatchMax:
		return misuse("--count: %d is not from 1 to %d", f.count, client.BatchMax)
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

// times reads the instants among the flags into t.
func (f sendFlags) times(t *client.Task) error {
	if f.expires != "" {
		at, err := time.Parse(time.RFC3339, f.expires)
		if err != nil {
			return misuse("--expires: %q is no time such as 2026-01-02T15:04:05Z", f.expires)
		}
		if t.Within = time.Until(at).Truncate(time.Millisecond); t.Within <= 0 {
			return misuse("--expires: %s is in the past", f.expires)
		}
	}
	if f.notBefore != "" {
		at, err := time.Parse(time.RFC3339, f.notBefore)
		if err != nil {
			return misuse("--not-before: %q is no time such as 2026-01-02T15:04:05Z", f.notBefore)
		}
		t.NotBefore = at
	}
	return nil
}

// task makes the client's task of the flags, without its input.
func (f sendFlags) task(name string) (client.Task, error) {
	t := client.Task{Name: name, Within: f.within, Delay: f.delay, Attempts: f.attempts, UniqueKey: f.unique, UniqueWindow: f.window}
	if err := f.times(&t); err != nil {
		return t, err
	}
	var err error
	if f.id != "" {
		if t.ID, err = envelope.ParseMessageID(f.id); err != nil || t.ID.IsZero() {
			return t, misuse("--id: not 32 lower-case hexadecimal digits that are not all zero")
		}
	}
	if f.module != "" {
		if t.Module, err = envelope.ParseDigest(f.module); err != nil {
			return t, misuse("--module: %v", err)
		}
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
	return t, nil
}

// inputs gives t its input, or makes many of it. What is read from stdin is read last, so that no fault waits for it.
func (f sendFlags) inputs(ctx context.Context, t client.Task, stdin io.Reader) ([]client.Task, error) {
	if f.lines != "" {
		return f.lineTasks(ctx, t, stdin)
	}
	t.Payload = []byte(f.input)
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
	tasks := make([]client.Task, f.count)
	for i := range tasks {
		tasks[i] = t
	}
	return tasks, err
}

// lineTasks makes a task of each line that is not empty.
func (f sendFlags) lineTasks(ctx context.Context, t client.Task, stdin io.Reader) (tasks []client.Task, err error) {
	var data []byte
	name := f.lines
	if name == "-" {
		name = "stdin"
		data, err = readStdin(ctx, stdin, client.BatchSizeMax)
	} else {
		data, err = readFile(name, client.BatchSizeMax)
	}
	if err != nil {
		return nil, err
	}
	t.ContentType = "application/json"
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !utf8.Valid(line) || !json.Valid(line) {
			return nil, misuse("%s:%d: is not JSON", name, number)
		}
		if len(tasks) == client.BatchMax {
			return nil, misuse("%s: has more than %d tasks; send it in parts", name, client.BatchMax)
		}
		t.Payload = line
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return nil, misuse("%s: has no line with an input", name)
	}
	return tasks, nil
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
	t, err := f.task(name)
	if err != nil {
		return err
	}
	tasks, err := f.inputs(c.Context(), t, c.InOrStdin())
	if err != nil {
		return err
	}
	receipts, err := conn.client.SignMany(tasks)
	if err != nil {
		return sendFault(err)
	}
	if f.out != "" {
		return writeMessage(c, receipts[0], f)
	}
	if err := conn.client.Resend(c.Context(), receipts); err != nil {
		return maybeSent(err, receipts)
	}
	switch {
	case f.wait && f.many():
		return waitForMany(c, conn, receipts, f.timeout, f.json)
	case f.wait:
		return waitAndPrint(c, conn, receipts[0], f.timeout, f.json)
	}
	for _, r := range receipts {
		if err := printReceipt(c, r, f); err != nil {
			return err
		}
	}
	return nil
}

// many says whether the flags are about many tasks, however many it turned out to be.
func (f sendFlags) many() bool { return f.lines != "" || f.count > 1 }

// maybeSent says with an error of the broker how to find what may have arrived: nobody has heard the ids yet, and to send anew
// would run it twice.
func maybeSent(err error, receipts []client.Receipt) error {
	first := receipts[0].ID.String()
	if len(receipts) == 1 {
		return &hintError{err, "it may have been sent all the same: caisson task show " + first}
	}
	return &hintError{err, fmt.Sprintf("some may have been sent all the same, %s among the first", first)}
}

// sendFault says which task cannot be sent and why. Of many that have the same fault the first is enough.
func sendFault(err error) error {
	list := each(err)
	var bad *client.TaskError
	if !errors.As(list[0], &bad) {
		return misused(err)
	}
	var field *envelope.FieldError
	if errors.As(bad.Err, &field) && field.Field == "not_before" {
		return misuse("task %q: %w", bad.Name, bad.Err).withHint("its time to live (--within, else 1h) counts from now, so it must be longer than the delay")
	}
	if len(list) == 1 && bad.Index == 0 {
		return misused(fmt.Errorf("task %q: %w", bad.Name, bad.Err))
	}
	text := fmt.Errorf("task %q, number %d: %w", bad.Name, bad.Index+1, bad.Err)
	if len(list) > 1 {
		text = fmt.Errorf("%w (and %d more that cannot be sent)", text, len(list)-1)
	}
	return misused(text)
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
