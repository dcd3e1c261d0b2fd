package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressOf returns what to call after each of n steps. A terminal sees a bar; a file or a pipe, where a bar
// would be a page of carriage returns, sees a line for each tenth.
func progressOf(n int, w io.Writer) (step func()) {
	if isTerminal(w) {
		bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("tasks"),
			progressbar.OptionSetWidth(40), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }))
		return func() { _ = bar.Add(1) }
	}
	done := 0
	return func() {
		done++
		if tenth := max(n/10, 1); done%tenth == 0 || done == n {
			fmt.Fprintf(w, "tasks     %d of %d\n", done, n)
		}
	}
}
