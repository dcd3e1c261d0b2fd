package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1
	exitMisused = 2
)

// A suite is what one NAME measures.
type suite func(ctx context.Context, o options, r *report) error

var suites = map[string]suite{
	"sandbox": measureSandbox,
	"queue":   measureQueue,
}

// engineVerb makes this program one of the engines that it measures, in a process of its own.
const engineVerb = "engine"

// options are what the flags say.
type options struct {
	quick    bool
	json     bool
	rounds   int            // 0: as many as the mode has
	most     time.Duration  // no round is begun that would end later than this after the first; 0: no bound
	only     *regexp.Regexp // nil: all
	out      string         // folder in which the results are kept, "" for none
	profile  string         // folder for processor profiles of Caisson's workers, "" for none
	progress io.Writer      // standard error
	begun    time.Time
}

// logf tells how far the run is.
func (o options) logf(format string, args ...any) {
	fmt.Fprintf(o.progress, "bench: %4.0f s: %s\n", time.Since(o.begun).Seconds(), fmt.Sprintf(format, args...))
}

// wants reports whether what has this title is to be measured.
func (o options) wants(title string) bool { return o.only == nil || o.only.MatchString(title) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if args := os.Args[1:]; len(args) > 1 && args[0] == engineVerb {
		if err := serveEngine(ctx, args[1], args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "bench: engine %s: %v\n", args[1], err)
			os.Exit(exitFailed)
		}
		return
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with everything given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name, o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitMisused
	}
	var r report
	interrupted := suites[name](ctx, o, &r) // what was measured before is worth having
	if interrupted != nil {
		fmt.Fprintln(stderr, "bench:", interrupted)
		if len(r.rows) == 0 {
			return exitFailed
		}
	}
	if o.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeTable(stdout)
	}
	if err == nil && o.out != "" {
		var folder string
		if folder, err = save(context.WithoutCancel(ctx), name, o, &r); err == nil {
			o.logf("results are in %s", folder)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	if err != nil || interrupted != nil {
		return exitFailed
	}
	return exitDone
}

// parse reads NAME and the flags, in either order.
func parse(args []string, stderr io.Writer) (name string, o options, err error) {
	o.progress, o.begun = stderr, time.Now()
	names := strings.Join(slices.Sorted(maps.Keys(suites)), ", ")
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: go run ./bench NAME [--quick] [--json] [--rounds N] [--only REGEXP] [--out DIR] [--profile DIR]\n"+
			"NAME is one of: %s\n", names)
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.quick, "quick", false, "few and short rounds: under 50 s once everything is built")
	flags.BoolVar(&o.json, "json", false, "one JSON object a line")
	only := flags.String("only", "", "measure only what has a title that this regular expression matches")
	flags.StringVar(&o.out, "out", "", "keep the results in a new `folder` DATE-NAME in this one")
	flags.StringVar(&o.profile, "profile", "", "queue: write a processor profile of each of Caisson's workers into this `folder`")
	flags.IntVar(&o.rounds, "rounds", 0, "how often everything is measured; 0 for what the mode has")
	if err := flags.Parse(args); err != nil {
		return "", o, err
	}
	if flags.NArg() > 0 {
		name = flags.Arg(0)
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return "", o, err
		}
	}
	if *only != "" {
		if o.only, err = regexp.Compile(*only); err != nil {
			return "", o, fmt.Errorf("--only: %w", err)
		}
	}
	switch {
	case suites[name] == nil:
		return "", o, fmt.Errorf("NAME: %q is not one of: %s", name, names)
	case flags.NArg() > 0:
		return "", o, fmt.Errorf("%q is one argument too many", flags.Arg(0))
	case o.rounds < 0 || o.rounds > roundsMax:
		return "", o, fmt.Errorf("--rounds: %d is not between 0 and %d", o.rounds, roundsMax)
	}
	return name, o, nil
}
