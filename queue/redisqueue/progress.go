package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/queue"
)

var _ queue.Progress = (*Client)(nil)

// Report keeps text, cut to ProgressBytesMax, and when it was made: by the clock of whoever reports.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Report(ctx context.Context, lane queue.Lane, id, text string, ttl time.Duration) error {
	if err := checkProgress(lane, id); err != nil {
		return err
	}
	if ttl < time.Millisecond || ttl > queue.StateTTLMax {
		return &queue.FieldError{Field: "ttl", Text: fmt.Sprintf("%s is not within 1ms to %s", ttl, queue.StateTTLMax)}
	}
	value := strconv.FormatInt(time.Now().UnixMilli(), 10) + "|" + cutText(text, queue.ProgressBytesMax)
	return c.do(ctx, "report", func(ctx context.Context) error {
		return c.rdb.Set(ctx, progressKey(lane, id), value, ttl).Err()
	})
}

// Progress returns the newest report. What is none is as if it were not there.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Progress(ctx context.Context, lane queue.Lane, id string) (string, time.Time, error) {
	if err := checkProgress(lane, id); err != nil {
		return "", time.Time{}, err
	}
	var value string
	err := c.do(ctx, "progress", func(ctx context.Context) error {
		var err error
		value, err = c.rdb.GetRange(ctx, progressKey(lane, id), 0, queue.ProgressBytesMax+32).Result()
		return err
	})
	if err != nil {
		return "", time.Time{}, err
	}
	digits, text, found := strings.Cut(value, "|")
	ms, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || ms < 0 || ms > maxExact || len(text) > queue.ProgressBytesMax || !utf8.ValidString(text) {
		return "", time.Time{}, nil
	}
	return text, time.UnixMilli(ms), nil
}

func checkProgress(lane queue.Lane, id string) error {
	if err := lane.Check(); err != nil {
		return err
	}
	return queue.CheckID("id", id)
}
