package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressOf returns what to call after each of n steps. A terminal sees a bar; a file or a pipe, where a bar
// would be a page of carriage returns, sees a line for each tenth. what are the steps, in the plural.
func progressOf(n int, what string, w io.Writer) (step func()) { return progressFrom(0, n, what, w) }

// progressAfter is progressOf for work that mostly ends at once: nothing is shown before so much time has passed.
func progressAfter(wait time.Duration, n int, what string, w io.Writer) (step func()) {
	done, begun := 0, time.Now()
	var late func()
	return func() {
		done++
		switch {
		case late != nil:
			late()
		case done < n && time.Since(begun) > wait:
			late = progressFrom(done, n, what, w)
		}
	}
}

// progressFrom is progressOf when some steps are done already.
func progressFrom(done, n int, what string, w io.Writer) (step func()) {
	if isTerminal(w) {
		bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(40), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }))
		_ = bar.Set(done)
		return func() { _ = bar.Add(1) }
	}
	return func() {
		done++
		if tenth := max(n/10, 1); done%tenth == 0 || done == n {
			fmt.Fprintf(w, "%-9s %d of %d\n", what, done, n)
		}
	}
}
