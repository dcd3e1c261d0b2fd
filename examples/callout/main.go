package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(callOut) }

func main() { guest.Main() }

const service = "https://api.example.com/"

// Request is the input of the task.
type Request struct {
	Path string `json:"path"` // below the service's root
}

func callOut(ctx context.Context, in Request) ([]byte, error) {
	// Escaped by segment, so that a path from outside cannot become a query. What it may reach is not decided
	// here but by the capability.
	segments := strings.Split(in.Path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	answer, err := guest.HTTP.Get(ctx, service+strings.Join(segments, "/"))
	if err != nil {
		return nil, err
	}
	guest.Log.Info("service answered", "status", answer.Status, "bytes", len(answer.Body))
	switch {
	case answer.Status == 200:
		return answer.Body, nil
	case answer.Status == 429 || answer.Status >= 500:
		return nil, guest.Retry(fmt.Errorf("callout: the service answered %d", answer.Status), pause(answer.Header("Retry-After")))
	}
	return nil, guest.Fail(fmt.Errorf("callout: the service answered %d", answer.Status))
}

// pause reads the seconds of a Retry-After header; 0 leaves the pause to the manifest.
func pause(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 {
		return 0
	}
	// Bounded before it is multiplied, since a number from outside could wrap.
	return time.Duration(min(seconds, int(waitMax/time.Second))) * time.Second
}
