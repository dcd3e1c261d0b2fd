package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/runtime/sandbox"
)

// outcomeDone is the word for a run whose result stands.
const outcomeDone = "done"

// outcomeWord is how a run ended, in the words of docs/reference/refusals.md: what a worker would do with it.
func outcomeWord(v sandbox.Verdict) string {
	switch v {
	case sandbox.Done:
		return outcomeDone
	case sandbox.Failed, sandbox.Limit:
		return "failed"
	case sandbox.Retry:
		return "retried"
	}
	return "crashed"
}

// runInfo is one local run for programs. Output that is JSON stands as such, other output as base64.
type runInfo struct {
	File       string          `json:"file"`
	Digest     string          `json:"digest"`
	Outcome    string          `json:"outcome"` // done, failed, retried or crashed
	Code       string          `json:"code,omitempty"`
	Error      string          `json:"error,omitempty"`
	RetryAfter string          `json:"retry_after,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Bytes      []byte          `json:"output_base64,omitempty"`
	Log        []string        `json:"log,omitempty"` // "level: line"
	Usage      usageInfo       `json:"usage"`
	Repeat     *repeatInfo     `json:"repeat,omitempty"`
}

// usageInfo is what one run took.
type usageInfo struct {
	Fuel   int64   `json:"fuel"`
	Ticks  int64   `json:"ticks"`
	CPU    float64 `json:"cpu_us"`
	Wall   float64 `json:"wall_us"`
	Memory int64   `json:"memory_bytes"` // peak of linear memory
	Pages  int64   `json:"pages_written"`
	Calls  int64   `json:"calls"`
	Log    int64   `json:"log_bytes"`
}

func describeUsage(u sandbox.Usage) usageInfo {
	return usageInfo{Fuel: u.Fuel, Ticks: u.Ticks, CPU: microseconds(u.CPU), Wall: microseconds(u.Wall), Memory: u.Memory, Pages: u.Pages, Calls: u.Calls, Log: u.LogBytes}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// repeatInfo is what further runs took, each from the same clean state.
type repeatInfo struct {
	Runs    int         `json:"runs"`
	Differ  int         `json:"results_differ"` // results that are not the first run's
	Wall    percentiles `json:"wall_us"`
	CPU     percentiles `json:"cpu_us"`
	Pages   percentiles `json:"pages_written"`
	FuelMin int64       `json:"fuel_min"`
	FuelMax int64       `json:"fuel_max"`
}

// percentiles are by nearest rank: each is a value that was seen.
type percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// runSamples are what each of some runs took.
type runSamples struct {
	wall, cpu, pages []float64
	fuel             []int64
	differ           int
}

func (s *runSamples) add(u sandbox.Usage, same bool) {
	s.wall = append(s.wall, microseconds(u.Wall))
	s.cpu = append(s.cpu, microseconds(u.CPU))
	s.pages = append(s.pages, float64(u.Pages))
	s.fuel = append(s.fuel, u.Fuel)
	if !same {
		s.differ++
	}
}

// describe sorts the samples. It is nil when there are none.
func (s *runSamples) describe() *repeatInfo {
	if len(s.wall) == 0 {
		return nil
	}
	return &repeatInfo{Runs: len(s.wall), Differ: s.differ, Wall: percentilesOf(s.wall), CPU: percentilesOf(s.cpu), Pages: percentilesOf(s.pages),
		FuelMin: slices.Min(s.fuel), FuelMax: slices.Max(s.fuel)}
}

// percentilesOf sorts samples, of which there is at least one.
func percentilesOf(samples []float64) percentiles {
	slices.Sort(samples)
	rank := func(percent int) float64 { return samples[(len(samples)*percent+99)/100-1] }
	return percentiles{P50: rank(50), P95: rank(95), P99: rank(99), Max: rank(100)}
}

// printRun prints the result to stdout and what the run took to stderr, or all of it as one JSON object.
func printRun(c *cobra.Command, info runInfo, output []byte, asJSON bool) error {
	if asJSON {
		if utf8.Valid(output) && json.Valid(output) {
			info.Output = output
		} else {
			info.Bytes = output
		}
		return printJSON(c.OutOrStdout(), info)
	}
	if info.Outcome == outcomeDone {
		if err := printOutput(c.OutOrStdout(), output); err != nil {
			return err
		}
	}
	u, w := info.Usage, c.ErrOrStderr()
	fmt.Fprintf(w, "caisson: outcome  %s\n", info.Outcome)
	fmt.Fprintf(w, "caisson: fuel     %d in %d ticks\n", u.Fuel, u.Ticks)
	fmt.Fprintf(w, "caisson: time     %s on the clock, %s of a processor\n", spanText(u.Wall), spanText(u.CPU))
	fmt.Fprintf(w, "caisson: memory   %d bytes at most, %d pages written\n", u.Memory, u.Pages)
	fmt.Fprintf(w, "caisson: host     %d calls, %d bytes of log\n", u.Calls, u.Log)
	if r := info.Repeat; r != nil {
		same := "all results equal the first"
		if r.Differ > 0 {
			same = fmt.Sprintf("%d results differ from the first", r.Differ)
		}
		fuel := fmt.Sprintf("%d fuel in each", r.FuelMin)
		if r.FuelMax != r.FuelMin {
			fuel = fmt.Sprintf("%d to %d fuel", r.FuelMin, r.FuelMax)
		}
		fmt.Fprintf(w, "caisson: repeat   %d runs, %s, %s\n", r.Runs, same, fuel)
		fmt.Fprintf(w, "caisson:          %10s %10s %10s %10s\n", "p50", "p95", "p99", "max")
		row := func(name string, p percentiles, text func(float64) string) {
			fmt.Fprintf(w, "caisson: %-8s %10s %10s %10s %10s\n", name, text(p.P50), text(p.P95), text(p.P99), text(p.Max))
		}
		row("wall", r.Wall, spanText)
		row("cpu", r.CPU, spanText)
		row("pages", r.Pages, func(n float64) string { return fmt.Sprintf("%.0f", n) })
	}
	return nil
}

// spanText gives microseconds with a unit and three digits or so.
func spanText(us float64) string {
	switch {
	case us >= 1e6:
		return fmt.Sprintf("%.2f s", us/1e6)
	case us >= 1e3:
		return fmt.Sprintf("%.2f ms", us/1e3)
	}
	return fmt.Sprintf("%.1f us", us)
}
