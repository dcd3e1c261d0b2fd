package main

import (
	"fmt"
	"io"
	"sync"
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

// What takes longer than waitQuiet is said, and from then on every waitEvery how long it has taken.
const (
	waitQuiet = 2 * time.Second
	waitEvery = 5 * time.Second
)

// whileCompiling says on w that a module is being compiled, should it take a while: large ones take a minute. The caller calls done when it is over.
func whileCompiling(w io.Writer, path string, code []byte) (done func()) {
	return whileWaiting(waitQuiet, waitEvery, w, fmt.Sprintf("compiling %s, %.1f MB", path, float64(len(code))/1e6))
}

// whileWaiting says on w what is waited for, for work that cannot tell how far it is: a line after quiet and then one every so often, until done is called.
func whileWaiting(quiet, every time.Duration, w io.Writer, what string) (done func()) {
	begun, over := time.Now(), make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() { // ends with done, which waits for it
		tick := time.NewTimer(quiet)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			fmt.Fprintf(w, "caisson: %s: %v so far\n", oneLine(what), time.Since(begun).Round(time.Second))
			tick.Reset(every)
		}
	})
	return func() { close(over); saying.Wait() }
}
