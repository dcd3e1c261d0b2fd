package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

// told counts reports of progress and keeps the newest.
type told struct {
	n      int
	newest string
}

func (p *told) Report(_ context.Context, _ queue.Lane, _, text string, _ time.Duration) error {
	p.n, p.newest = p.n+1, text
	return nil
}

func (p *told) Progress(context.Context, queue.Lane, string) (string, time.Time, error) {
	return p.newest, time.Time{}, nil
}

// TestReportFlood has a guest report without end: ten reports a second are passed on, and the last that it gave is among them.
func TestReportFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress := &told{}
		w := &Worker{cfg: Config{Progress: progress}, log: hclog.NewNullLogger()}
		w.reports.waiting, w.reports.some = map[*begun]string{}, make(chan struct{}, 1)
		b := &begun{opened: &opened{id: "a"}, post: &post{}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.passOn(ctx); close(ended) }()
		report := w.reporter(b)
		for i := range 10_000 { // ten seconds
			report(fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * reportEvery)
		cancel()
		<-ended
		if progress.n < 90 || progress.n > 102 || progress.newest != "9999" {
			t.Errorf("%d reports passed on, the last %q", progress.n, progress.newest)
		}
	})
}
