package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/redis/go-redis/v9"
)

// The floor is what Redis Streams and go-redis cost by themselves: an entry is added, claimed, acknowledged, and a result is set. Nothing is checked, leased,
// fenced, recovered, run or signed.
const (
	floorStream  = "floor:in"
	floorGroup   = "workers"
	floorResult  = "floor:res:" // and the entry's id
	floorChannel = "floor:done" // for round trips only
)

// floor is the engine of that name: in one process a sender, in another a consumer.
type floor struct {
	ctx  context.Context
	here login
	open map[string]*redis.Client // by address
}

// serveFloor serves the floor; path is of a senderSetup, of which it needs the login.
func serveFloor(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var setup senderSetup
	if err := json.Unmarshal(data, &setup); err != nil {
		return err
	}
	e := &floor{ctx: ctx, here: setup.Login, open: map[string]*redis.Client{}}
	return line.Serve(os.Stdin, os.Stdout, nil, map[string]line.Act{"send": e.send, "trip": e.trip, "serve": e.serve, "check": e.check})
}

func (e *floor) client(addr string) (*redis.Client, error) {
	if c := e.open[addr]; c != nil {
		return c, nil
	}
	l := e.here
	if addr != "" {
		l.Addr = addr
	}
	c, err := l.dial(floorConnections)
	if err == nil {
		e.open[addr] = c
	}
	return c, err
}

func floorAdd(payload []byte) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: floorStream, Values: []any{"e", payload}}
}

// send adds entries, q.Batch of them in one write.
func (e *floor) send(q line.Request) (line.Answer, error) {
	c, err := e.client(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	payload := goPayload(q.Size)
	took, err := share(q, func(n int) error {
		if n == 1 {
			return c.XAdd(e.ctx, floorAdd(payload)).Err()
		}
		_, err := c.Pipelined(e.ctx, func(p redis.Pipeliner) error {
			for range n {
				p.XAdd(e.ctx, floorAdd(payload))
			}
			return nil
		})
		return err
	})
	return line.Answer{Took: took}, err
}

// serve starts q.Workers consumers that claim q.Batch entries at a time. They end with the process. With the way "tell" they publish each result, too.
func (e *floor) serve(q line.Request) (line.Answer, error) {
	c, err := e.client(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	if err := c.XGroupCreateMkStream(e.ctx, floorStream, floorGroup, "0").Err(); err != nil {
		return line.Answer{}, err
	}
	for i := range q.Workers {
		go func() { // until the process ends
			for {
				if err := e.consume(c, fmt.Sprint("consumer", i), q); err != nil {
					fmt.Fprintln(os.Stderr, "bench: floor:", err)
					return
				}
			}
		}()
	}
	return line.Answer{}, nil
}

func (e *floor) consume(c *redis.Client, name string, q line.Request) error {
	streams, err := c.XReadGroup(e.ctx, &redis.XReadGroupArgs{Group: floorGroup, Consumer: name, Streams: []string{floorStream, ">"},
		Count: int64(q.Batch), Block: time.Second}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = c.Pipelined(e.ctx, func(p redis.Pipeliner) error {
		var ids []string
		for _, m := range streams[0].Messages {
			ids = append(ids, m.ID)
			p.Set(e.ctx, floorResult+m.ID, floorOutput, time.Hour)
		}
		p.XAck(e.ctx, floorStream, floorGroup, ids...)
		if q.Way == "tell" {
			p.Publish(e.ctx, floorChannel, floorOutput)
		}
		return nil
	})
	return err
}

// floorOutput is the result of each.
const floorOutput = goWant

// trip adds one entry after the other and hears of each result, which the message holds: nothing has to be read any more.
func (e *floor) trip(q line.Request) (line.Answer, error) {
	c, err := e.client(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	sub := c.Subscribe(e.ctx, floorChannel)
	defer sub.Close() // or it would hear of the trips of other distances
	if _, err := sub.Receive(e.ctx); err != nil {
		return line.Answer{}, err
	}
	ear := sub.Channel()
	payload := goPayload(q.Size)
	return trips(q.Count, func() error {
		if err := c.XAdd(e.ctx, floorAdd(payload)).Err(); err != nil {
			return err
		}
		if m := <-ear; m == nil || m.Payload != floorOutput {
			return errors.New("no result")
		}
		return nil
	})
}

// check sees to it that nothing was left over.
func (e *floor) check(line.Request) (line.Answer, error) {
	c, err := e.client("")
	if err != nil {
		return line.Answer{}, err
	}
	pending, err := c.XPending(e.ctx, floorStream, floorGroup).Result()
	if err == nil && pending.Count > 0 {
		err = fmt.Errorf("%d entries are not acknowledged", pending.Count)
	}
	return line.Answer{}, err
}
