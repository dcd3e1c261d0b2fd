package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/sdk/schedule"
)

// nextMax bounds the ticks that schedule next prints.
const nextMax = 10_000

func scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "schedule",
		Short:   "Send periodic tasks",
		Example: "  caisson schedule check\n  caisson schedule next nightly-report --count 3\n  caisson schedule run",
	}
	c.AddCommand(scheduleRunCommand(), scheduleListCommand(), scheduleNextCommand(), scheduleCheckCommand())
	return c
}

// fileFlag adds --file to c.
func fileFlag(c *cobra.Command, into *string) {
	c.Flags().StringVarP(into, "file", "f", "schedule.toml", "the schedules")
}

// readSchedules reads a schedule.toml and the files that it names, relative to it, and says which these are, also with an error.
func readSchedules(path string) ([]*schedule.Schedule, sources, error) {
	seen := sources{}
	seen.note(path)
	data, err := readFile(path, textFileMax)
	if errors.Is(err, os.ErrNotExist) {
		err = &hintError{err, "name one with --file; docs/reference/schedule.md says what is in it"}
	}
	if err != nil {
		return nil, seen, err
	}
	base := folder(filepath.Dir(path))
	set, err := schedule.Parse(path, data, func(name string) ([]byte, error) {
		seen.note(base.path(name))
		return readFile(base.path(name), inputFileMax)
	})
	return set, seen, err
}

func scheduleCheckCommand() *cobra.Command {
	path, asJSON := "", false
	c := &cobra.Command{
		Use:     "check",
		Short:   "Report every fault of the schedules with its line",
		Example: "  caisson schedule check --file schedule.toml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			set, _, err := readSchedules(path)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), scheduleFileInfo{path, len(set)})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "schedules %d\nok        %s\n", len(set), oneLine(path))
			return err
		},
	}
	fileFlag(c, &path)
	jsonFlag(c, &asJSON, shape{"", scheduleFileInfo{}})
	return c
}

// scheduleFileInfo is a file of schedules that is without fault.
type scheduleFileInfo struct {
	File      string `json:"file"`
	Schedules int    `json:"schedules"`
}

// scheduleInfo is what is shown of a schedule.
type scheduleInfo struct {
	Name   string    `json:"name"`
	Task   string    `json:"task"`
	Queue  string    `json:"queue,omitempty"`
	When   string    `json:"when"`
	Zone   string    `json:"zone"`
	Within string    `json:"within"`
	Missed string    `json:"missed"`
	Paused bool      `json:"paused"`
	Next   time.Time `json:"next,omitzero"` // none when it is paused
}

func scheduleListCommand() *cobra.Command {
	path, asJSON := "", false
	c := &cobra.Command{
		Use:     "list",
		Short:   "Show the schedules and when each ticks next",
		Example: "  caisson schedule list\n  caisson schedule list --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			set, _, err := readSchedules(path)
			if err != nil {
				return err
			}
			return printSchedules(c, set, time.Now(), asJSON)
		},
	}
	fileFlag(c, &path)
	jsonFlag(c, &asJSON, shape{"", scheduleInfo{}})
	return c
}

func printSchedules(c *cobra.Command, set []*schedule.Schedule, now time.Time, asJSON bool) error {
	table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "NAME\tTASK\tWHEN\tZONE\tMISSED\tNEXT")
	}
	for _, s := range set {
		e, next := s.Entry(), s.Next(now)
		if asJSON {
			info := scheduleInfo{e.Name, e.Task, e.Queue, s.When(), s.Zone().String(), s.Within(next).String(), string(e.Missed), e.Paused, next}
			if e.Paused {
				info.Next = time.Time{}
			}
			if err := printJSON(c.OutOrStdout(), info); err != nil {
				return err
			}
			continue
		}
		shown := next.In(s.Zone()).Format(time.RFC3339)
		if e.Paused {
			shown = "paused"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Task, s.When(), s.Zone(), e.Missed, shown)
	}
	return table.Flush()
}

// tickInfo is one tick. ID is that of its message, when the sender is known.
type tickInfo struct {
	Tick     time.Time `json:"tick"`
	Local    string    `json:"local"` // in the schedule's zone
	Schedule string    `json:"schedule"`
	Task     string    `json:"task"`
	ID       string    `json:"id,omitempty"`
}

func scheduleNextCommand() *cobra.Command {
	path, from, config, count, asJSON := "", "", "", 0, false
	c := &cobra.Command{
		Use:   "next [NAME...]",
		Short: "Show the next ticks",
		Long: `Shows the next ticks of all schedules, or of those named, in their zones; paused ones have none. With --config the id of each tick's
message is shown as well, for caisson task show and wait.`,
		Example: "  caisson schedule next --count 3\n  caisson schedule next nightly-report --from 2026-10-24T12:00:00Z --config client.toml",
		RunE: func(c *cobra.Command, names []string) error {
			at := time.Now()
			if from != "" {
				var err error
				if at, err = time.Parse(time.RFC3339, from); err != nil {
					return misuse("--from: %q is no time such as 2026-01-02T15:04:05Z", from)
				}
			}
			if count < 1 || count > nextMax {
				return misuse("--count: %d is not from 1 to %d", count, nextMax)
			}
			set, _, err := readSchedules(path)
			if err != nil {
				return err
			}
			if set, err = named(set, names); err != nil {
				return err
			}
			audience, tenant := "", ""
			if config != "" {
				conn, err := connect(config, "")
				if err != nil {
					return err
				}
				defer conn.close()
				audience, tenant = conn.file.Audience, conn.file.Tenant
			}
			return printTicks(c, nextTicks(set, at, count, audience, tenant), asJSON)
		},
	}
	fileFlag(c, &path)
	jsonFlag(c, &asJSON, shape{"", tickInfo{}})
	c.Flags().IntVarP(&count, "count", "n", 5, "so many ticks in all")
	c.Flags().StringVar(&from, "from", "", "those after this time, RFC 3339 (default: now)")
	c.Flags().StringVarP(&config, "config", "c", "", "who sends, as for caisson schedule run; shows ids")
	return c
}

// named chooses schedules by name; no names choose all. Paused ones are left out.
func named(set []*schedule.Schedule, names []string) ([]*schedule.Schedule, error) {
	for _, name := range names {
		if !slices.ContainsFunc(set, func(s *schedule.Schedule) bool { return s.Entry().Name == name }) {
			return nil, misuse("there is no schedule %q", name).withHint("caisson schedule list")
		}
	}
	return slices.DeleteFunc(set, func(s *schedule.Schedule) bool {
		return s.Entry().Paused || len(names) > 0 && !slices.Contains(names, s.Entry().Name)
	}), nil
}

// nextTicks merges the ticks of set; ids are shown when the audience is known.
func nextTicks(set []*schedule.Schedule, from time.Time, count int, audience, tenant string) []tickInfo {
	next := make([]time.Time, len(set))
	for i, s := range set {
		next[i] = s.Next(from)
	}
	var ticks []tickInfo
	for len(ticks) < count {
		first := -1
		for i, at := range next {
			if !at.IsZero() && (first < 0 || at.Before(next[first])) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		s, at := set[first], next[first]
		e := s.Entry()
		tick := tickInfo{Tick: at, Local: at.In(s.Zone()).Format(time.RFC3339), Schedule: e.Name, Task: e.Task}
		if audience != "" {
			tick.ID = schedule.FireID(audience, tenant, e.Name, at).String()
		}
		ticks, next[first] = append(ticks, tick), s.Next(at)
	}
	return ticks
}

func printTicks(c *cobra.Command, ticks []tickInfo, asJSON bool) error {
	for _, t := range ticks {
		if asJSON {
			if err := printJSON(c.OutOrStdout(), t); err != nil {
				return err
			}
			continue
		}
		line := t.Local + "  " + t.Schedule
		if t.ID != "" {
			line = t.Local + "  " + t.ID + "  " + t.Schedule
		}
		if _, err := fmt.Fprintln(c.OutOrStdout(), line); err != nil {
			return err
		}
	}
	return nil
}

// scheduleRunFlags are those of schedule run.
type scheduleRunFlags struct {
	file   string
	config string
	state  string
	log    string
	json   bool
}

func scheduleRunCommand() *cobra.Command {
	f := scheduleRunFlags{}
	c := &cobra.Command{
		Use:   "run",
		Short: "Send each schedule's tasks as they come due",
		Long: `Runs until it is told to stop, and signs and sends one task for each tick, with the key that client.toml names. Any number may run with the
same key and schedules, on any machines: they make the same bytes for a tick, and a second copy never runs.

The state file says up to when each schedule has been judged, so that after a restart missed ticks are found. The schedules
are read again when their file or an input file that it names changes, and on SIGHUP; with a fault they are reported and the old ones stay in
force. With --json each tick that was sent is one line on stdout. The log goes to stderr.`,
		Example: "  caisson schedule run\n  caisson schedule run --file schedule.toml --config client.toml --state /var/lib/caisson/schedule.json",
		Args:    exactly(),
		RunE:    func(c *cobra.Command, _ []string) error { return runSchedule(c, f) },
	}
	fileFlag(c, &f.file)
	c.Flags().StringVarP(&f.config, "config", "c", "client.toml", "who sends, to where")
	c.Flags().StringVarP(&f.state, "state", "s", "", "the state file (default: schedule.state.json beside the schedules)")
	c.Flags().StringVar(&f.log, "log", "text", "form of the log: text or json")
	_ = c.RegisterFlagCompletionFunc("log", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	jsonFlag(c, &f.json, shape{"", fireInfo{}})
	return c
}

func runSchedule(c *cobra.Command, f scheduleRunFlags) error {
	if f.log != "text" && f.log != "json" {
		return misuse("--log: %q is none of text, json", f.log)
	}
	if f.state == "" {
		f.state = filepath.Join(filepath.Dir(f.file), "schedule.state.json")
	}
	set, seen, err := readSchedules(f.file)
	if err != nil {
		return misused(err)
	}
	conn, err := connect(f.config, "")
	if err != nil {
		return err
	}
	defer conn.close()
	log := hclog.New(&hclog.LoggerOptions{Name: "caisson", Level: hclog.Info, Output: c.ErrOrStderr(), JSONFormat: f.log == "json"})
	cfg := schedule.Config{
		Sender: conn.redis, Schedules: set, State: schedule.StateFile(f.state), Logger: log,
		Signer: schedule.Signer{Key: conn.key, Audience: conn.file.Audience, Tenant: conn.file.Tenant, Queue: conn.file.Queue},
	}
	if f.json {
		cfg.Fired = func(fire schedule.Fire) { _ = printJSON(c.OutOrStdout(), describeFire(fire)) }
	}
	s, err := schedule.Open(cfg)
	if err != nil {
		return err
	}
	return superviseSchedule(c.Context(), s, f.file, seen, len(set), log)
}

// superviseSchedule runs s until ctx ends, and meanwhile watches its files.
func superviseSchedule(ctx context.Context, s *schedule.Scheduler, path string, seen sources, count int, log hclog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { // ends with ctx, and is waited for below
		defer close(watched)
		watchSchedules(ctx, s, path, seen, log)
	}()
	log.Info("scheduler started", "file", path, "schedules", count)
	err := s.Run(ctx)
	stop()
	<-watched
	log.Info("scheduler stopped")
	return err
}

// fireInfo is a tick that was sent.
type fireInfo struct {
	Schedule string    `json:"schedule"`
	Task     string    `json:"task"`
	Queue    string    `json:"queue"`
	Tick     time.Time `json:"tick"`
	ID       string    `json:"id"`
	Expires  time.Time `json:"expires"`
	Late     bool      `json:"late"`
}

func describeFire(f schedule.Fire) fireInfo {
	return fireInfo{f.Schedule, f.Task, f.Message.Lane.Queue, f.Tick.UTC(), f.ID.String(), f.Expires.UTC(), f.Late}
}

// watchSchedules reads the file at path again when it or one that it names changes, until ctx ends.
func watchSchedules(ctx context.Context, s *schedule.Scheduler, path string, seen sources, log hclog.Logger) {
	watchFiles(ctx, seen, func() sources {
		set, seen, err := readSchedules(path)
		if err == nil {
			err = s.Use(set)
		}
		if err != nil {
			log.Error("schedules not replaced, the old ones stay in force", "file", path, "error", err)
		} else {
			log.Info("schedules replaced", "file", path, "schedules", len(set))
		}
		return seen
	})
}
