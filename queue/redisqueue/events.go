package redisqueue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

var _ queue.Events = (*Client)(nil)

// Emit appends batch in one pipelined write: eventsPerEntry events an entry.
// Errors: *queue.FieldError (nothing was written), *queue.UnavailableError.
func (c *Client) Emit(ctx context.Context, name string, batch []queue.Event) error {
	if err := queue.CheckName("queue", name); err != nil {
		return err
	}
	var entries [][]byte
	for len(batch) > 0 {
		n := min(len(batch), eventsPerEntry)
		entry, err := encodeEvents(batch[:n])
		if err != nil {
			return err
		}
		entries, batch = append(entries, entry), batch[n:]
	}
	if len(entries) == 0 {
		return ctx.Err()
	}
	return c.do(ctx, "emit", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		for _, entry := range entries {
			pipe.XAdd(ctx, &redis.XAddArgs{
				Stream: eventsKey(name), MaxLen: queue.EventsMax, Approx: true, Values: []any{"b", entry},
			})
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Follow calls got for each event after the cursor. It waits in Redis, on a connection of its own, and goes on after any
// loss. Entries that are no events are passed over.
// Errors: as queue.Events says.
func (c *Client) Follow(ctx context.Context, name, after string, got func(cursor string, e queue.Event)) error {
	at, err := followFrom(name, after)
	if err != nil {
		return err
	}
	var retry backoff
	for {
		entries, err := c.eventsAfter(ctx, name, &at)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (permanent(err) || reason(err) == queue.ReasonData):
			return err // something else stands where the events should be
		case err != nil:
			retry.failed()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.closer.ctx.Done():
				return queue.ErrClosed
			case <-retry.after():
			}
			continue
		}
		retry.worked()
		for _, entry := range entries {
			passOn(name, entry, &at, got)
		}
	}
}

// KeptEvents calls got for each event after the cursor that is kept at this moment, and returns when it has told of the last.
// Errors: *queue.FieldError, *queue.UnavailableError, ctx's.
func (c *Client) KeptEvents(ctx context.Context, name, after string, got func(cursor string, e queue.Event)) error {
	at, err := followFrom(name, after)
	if err != nil {
		return err
	}
	last, err := c.newestEvents(ctx, name)
	if err != nil {
		return err
	}
	if at.entry == "" {
		at = last
	}
	for entryBehind(last.entry, at.from()) {
		entries, err := c.readEvents(ctx, name, at.from(), -1)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil // somebody has deleted them
		}
		for _, entry := range entries {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if entryBehind(entry.ID, last.entry) {
				return nil
			}
			passOn(name, entry, &at, got)
		}
	}
	return nil
}

// followFrom checks what both ways of reading events are given.
func followFrom(name, after string) (eventCursor, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return eventCursor{}, err
	}
	at, ok := parseCursor(after)
	if !ok {
		return eventCursor{}, &queue.FieldError{Field: "after", Text: "is no cursor"}
	}
	return at, nil
}

// passOn calls got for the events of entry that come after at, and moves at behind them.
func passOn(name string, entry redis.XMessage, at *eventCursor, got func(cursor string, e queue.Event)) {
	from := 0
	if entry.ID == at.entry {
		from = at.seen
	}
	*at = eventCursor{entry: entry.ID, seen: eventsPerEntry}
	text, _ := entry.Values["b"].(string)
	batch, err := decodeEvents(name, []byte(text))
	if err != nil {
		return
	}
	for i, e := range batch {
		if i >= from {
			got(eventCursor{entry: entry.ID, seen: i + 1}.String(), e)
		}
	}
}

// eventsAfter returns what comes after at, waiting for a while when there is nothing. A cursor without an entry becomes
// that of the newest one.
func (c *Client) eventsAfter(ctx context.Context, name string, at *eventCursor) ([]redis.XMessage, error) {
	if at.entry == "" {
		var err error
		if *at, err = c.newestEvents(ctx, name); err != nil {
			return nil, err
		}
	}
	type answer struct {
		entries []redis.XMessage
		err     error
	}
	// go-redis does not end a read when its context ends; Close waits for it, at most blockMax.
	done := make(chan answer, 1)
	if !c.closer.begin() {
		return nil, queue.ErrClosed
	}
	go func() {
		defer c.closer.end()
		entries, err := c.readEvents(context.WithoutCancel(ctx), name, at.from(), blockMax)
		done <- answer{entries, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-done:
		return a.entries, a.err
	}
}

// newestEvents returns the place behind all that is kept.
func (c *Client) newestEvents(ctx context.Context, name string) (eventCursor, error) {
	at := eventCursor{entry: "0-0", seen: eventsPerEntry}
	err := c.do(ctx, "follow", func(ctx context.Context) error {
		newest, err := c.rdb.XRevRangeN(ctx, eventsKey(name), "+", "-", 1).Result()
		if len(newest) == 1 {
			at.entry = newest[0].ID
		}
		return err
	})
	return at, err
}

// readEvents returns the first entries after one, waiting for a while when there are none; below 0: not at all.
func (c *Client) readEvents(ctx context.Context, name, after string, wait time.Duration) (entries []redis.XMessage, err error) {
	err = c.do(ctx, "follow", func(ctx context.Context) error {
		streams, err := c.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{eventsKey(name), after}, Count: followPiece, Block: wait}).Result()
		if len(streams) == 1 {
			entries = streams[0].Messages
		}
		return err
	})
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return entries, err
}

// eventCursor is a place in a stream of events: after the first seen events of an entry.
type eventCursor struct {
	entry string // "" is the newest one, whichever that is
	seen  int
}

// String returns <entry>.<seen>.
func (a eventCursor) String() string { return a.entry + "." + strconv.Itoa(a.seen) }

// parseCursor reads "", "0", or what String wrote.
func parseCursor(text string) (eventCursor, bool) {
	switch text {
	case "":
		return eventCursor{}, true
	case "0":
		return eventCursor{entry: "0-0", seen: eventsPerEntry}, true
	}
	entry, digits, found := strings.Cut(text, ".")
	seen, err := strconv.Atoi(digits)
	if !found || err != nil || seen < 0 || seen > eventsPerEntry || len(entry) > queue.IDBytesMax || !entryID(entry) {
		return eventCursor{}, false
	}
	return eventCursor{entry: entry, seen: seen}, true
}

// from returns the entry to read after: the one before a's when some of its events may be left.
func (a eventCursor) from() string {
	if a.seen >= eventsPerEntry {
		return a.entry
	}
	m, s := entryParts(a.entry)
	switch {
	case s > 0:
		s--
	case m > 0:
		m, s = m-1, 1<<64-1
	}
	return strconv.FormatUint(m, 10) + "-" + strconv.FormatUint(s, 10)
}

// entryParts returns both numbers of an entry: see entryID.
func entryParts(entry string) (ms, seq uint64) {
	text, rest, _ := strings.Cut(entry, "-")
	ms, _ = strconv.ParseUint(text, 10, 64)
	seq, _ = strconv.ParseUint(rest, 10, 64)
	return ms, seq
}

// entryBehind says whether entry a comes after entry b.
func entryBehind(a, b string) bool {
	ms, seq := entryParts(a)
	ms2, seq2 := entryParts(b)
	return ms > ms2 || ms == ms2 && seq > seq2
}
