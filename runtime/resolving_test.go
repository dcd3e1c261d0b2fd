package runtime

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/envelope"
)

// slowBlobs is a store that answers nothing until it is let go.
type slowBlobs struct {
	noBlobs
	asked, letGo chan struct{}
}

func (b slowBlobs) List(context.Context, string, int) ([]string, error) {
	close(b.asked)
	<-b.letGo
	return nil, errors.New("none")
}

// TestWaitForResolving ends a run that waits for a release that another one is asking for: it does not wait with it.
func TestWaitForResolving(t *testing.T) {
	store := slowBlobs{asked: make(chan struct{}), letGo: make(chan struct{})}
	r := newReleases(Config{Modules: modstore.Over(store), Floor: noFloor{}, Logger: hclog.NewNullLogger(), Clock: time.Now})
	rules := &rules{Policy: insidePolicy(t)}
	first := make(chan error)
	go func() {
		_, err := r.load(t.Context(), rules, envelope.Task{Task: "job.run"})
		first <- err
	}()
	<-store.asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.load(ctx, rules, envelope.Task{Task: "job.run"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	close(store.letGo)
	if err := <-first; err == nil {
		t.Error("the first found what is not there")
	}
}
