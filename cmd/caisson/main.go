package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses, for programs to read. Source: docs/reference/cli.md.
const (
	exitDone    = 0
	exitFailed  = 1
	exitMisused = 2
	exitRefused = 3
)

func main() {
	os.Exit(Main())
}

// Main runs the command with the process's arguments and streams and returns its exit status.
func Main() int {
	if len(os.Args) == 2 && os.Args[1] == admitVerb {
		return serveAdmission()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second interrupt ends at once what does not heed the first, such as the opening of a pipe that nobody writes to.
	// The worker listens for its own second one.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// run is Main with everything given. ctx ends with the first interrupt.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // the library's own, of which an unknown shell would be no error
			requireVerb(c)
		}
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	hint := hintOf(err)
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, cause) || errors.Is(err, context.Canceled)) {
		err = errors.New("interrupted")
	}
	for _, line := range linesOf(err) {
		fmt.Fprintf(stderr, "caisson: %s\n", line)
	}
	if hint != "" {
		fmt.Fprintf(stderr, "caisson: hint: %s\n", oneLine(hint))
	}
	return statusOf(err)
}

// newRoot builds the whole command anew, so that tests run it many times in one process.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "caisson",
		Short: "A task queue whose every task runs in a sandbox",
		Long: `Caisson runs tasks from a queue. A task is a WebAssembly module that holds only the powers which its
manifest declares, the policy grants and its sender allowed. Nothing runs that is not signed.

Exit status: 0 done, 1 failed, 2 misused, 3 refused.`,
		Example:       "  caisson demo\n  caisson worker --config worker.toml\n  caisson task send text.upper --input '\"hello\"' --wait",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misuse("%v", err).withHint("%s --help", c.CommandPath())
	})
	root.AddCommand(
		deadCommand(), demoCommand(), eventsCommand(), keyCommand(), manifestCommand(), moduleCommand(), planCommand(), policyCommand(), queueCommand(), redisCommand(), scheduleCommand(),
		taskCommand(), workerCommand(), versionCommand(),
	)
	for _, c := range root.Commands() {
		requireVerb(c)
	}
	return root
}

// requireVerb makes a noun without its verb, or with an unknown one, a misuse.
func requireVerb(c *cobra.Command) {
	if !c.HasSubCommands() {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return misuse("%s needs a verb", c.CommandPath()).withHint("%s --help", c.CommandPath())
		}
		return misuse("%s has no verb %q", c.CommandPath(), args[0]).withHint("%s --help", c.CommandPath())
	}
	c.RunE = func(*cobra.Command, []string) error { return nil }
}
