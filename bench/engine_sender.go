package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
	"github.com/redis/go-redis/v9"
)

// sender sends tasks of Caisson as a program of a user does: by package client, over the same Redis.
type sender struct {
	ctx    context.Context
	setup  senderSetup
	key    envelope.PrivateKey
	worker envelope.PublicKey
	open   map[string]*client.Client // by address of Redis
	admin  *redis.Client             // looks whether results are there

	mu   sync.Mutex
	sent []client.Receipt // of the last op send, without messages
}

// serveSender is the engine "sender"; path is of a senderSetup.
func serveSender(ctx context.Context, path string) error {
	e := &sender{ctx: ctx, open: map[string]*client.Client{}}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &e.setup); err != nil {
		return err
	}
	if e.key, err = envelope.ParsePrivateKey(e.setup.Key); err != nil {
		return err
	}
	if e.worker, err = envelope.ParsePublicKey(e.setup.Worker); err != nil {
		return err
	}
	if e.admin, err = e.setup.Login.dial(1); err != nil {
		return err
	}
	return line.Serve(os.Stdin, os.Stdout, nil, map[string]line.Act{"send": e.send, "trip": e.trip, "check": e.check})
}

// WorkerKey implements envelope.WorkerKeyring.
func (e *sender) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	return e.worker, id == e.worker.ID()
}

// client returns the one that speaks to Redis at addr, "" for its own address.
func (e *sender) client(addr string) (*client.Client, error) {
	if addr == "" {
		addr = e.setup.Login.Addr
	}
	if c := e.open[addr]; c != nil {
		return c, nil
	}
	l := e.setup.Login
	conf := redisqueue.Config{Addr: addr, User: l.User, Password: l.Password, Timeout: replyMax}
	for path, to := range map[string]*[]byte{l.CA: &conf.CA, l.Cert: &conf.Cert, l.Key: &conf.Key} {
		var err error
		if *to, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	conn, err := redisqueue.Dial(conf)
	if err != nil {
		return nil, err
	}
	c, err := client.Open(client.Config{Sender: conn, Results: redisqueue.OpenResults(conn), Key: e.key, Workers: e,
		Audience: deployAudience, Tenant: deployTenant, Queue: deployQueue})
	if err != nil {
		return nil, err
	}
	e.open[addr] = c
	return c, nil
}

// task is one for the guest, with a payload of about size bytes that the guest can read.
func task(guest string, size int) client.Task {
	payload := goPayload(size)
	return client.Task{Name: caissonTask(guest), Payload: payload, ContentType: "application/json"}
}

// goPayload is a request of the JSON guests, filled up with blanks.
func goPayload(size int) []byte {
	return append([]byte(goInput), bytes.Repeat([]byte(" "), max(0, size-len(goInput)))...)
}

// send puts q.Count tasks into the queue: by Client.Send where q.Batch is 1, else by SendMany.
func (e *sender) send(q line.Request) (line.Answer, error) {
	c, err := e.client(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	e.sent = make([]client.Receipt, 0, q.Count)
	one := task(q.Guest, q.Size)
	took, err := share(q, func(n int) error {
		tasks := make([]client.Task, n)
		for i := range tasks {
			tasks[i] = one
		}
		var receipts []client.Receipt
		var err error
		if n == 1 {
			receipts = make([]client.Receipt, 1)
			receipts[0], err = c.Send(e.ctx, one)
		} else {
			receipts, err = c.SendMany(e.ctx, tasks)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, r := range receipts {
			r.Message = nil
			e.sent = append(e.sent, r)
		}
		return err
	})
	return line.Answer{Took: took}, err
}

// share lets q.Workers goroutines do q.Count pieces, q.Batch at a time, and returns what that took from the start of the first to the end of the last.
func share(q line.Request, do func(n int) error) (time.Duration, error) {
	batch := max(1, q.Batch)
	var next atomic.Int64
	var done sync.WaitGroup
	errs := make([]error, max(1, q.Workers))
	begun := time.Now()
	for i := range errs {
		done.Go(func() {
			for errs[i] == nil {
				from := int(next.Add(int64(batch))) - batch
				if from >= q.Count {
					return
				}
				errs[i] = do(min(batch, q.Count-from))
			}
		})
	}
	done.Wait()
	return time.Since(begun), errors.Join(errs...)
}

// trip sends one task after the other, waits for each result, and returns what each took in milliseconds.
func (e *sender) trip(q line.Request) (line.Answer, error) {
	c, err := e.client(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	one := task(q.Guest, q.Size)
	return trips(q.Count, func() error {
		r, err := c.Send(e.ctx, one)
		if err == nil {
			_, err = c.Wait(e.ctx, r)
		}
		return err
	})
}

// trips times count of do, each alone.
func trips(count int, do func() error) (a line.Answer, err error) {
	for range count {
		begun := time.Now()
		if err := do(); err != nil {
			return a, err
		}
		a.Values = append(a.Values, time.Since(begun).Seconds()*1e3)
	}
	return a, nil
}

// check holds what the last op send has sent against what there is: each has a result, and of the first q.Count it verifies and says done.
func (e *sender) check(q line.Request) (line.Answer, error) {
	issuer := e.key.Public().ID().String()
	for from := 0; from < len(e.sent); from += checkBatch {
		part := e.sent[from:min(len(e.sent), from+checkBatch)]
		keys := make([]string, len(part))
		for i, r := range part {
			keys[i] = fmt.Sprintf("cs:{%s}:res:%s:%s", deployQueue, issuer, r.ID) // docs/reference/redis.md
		}
		n, err := e.admin.Exists(e.ctx, keys...).Result()
		if err != nil {
			return line.Answer{}, err
		}
		if int(n) != len(keys) {
			return line.Answer{}, fmt.Errorf("%d of %d results are not there", len(keys)-int(n), len(keys))
		}
	}
	c, err := e.client("")
	if err != nil {
		return line.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, stallMax)
	defer cancel()
	var bad error
	err = c.WaitAll(ctx, e.sent[:min(len(e.sent), q.Count)], func(_ client.Receipt, r envelope.Result, err error) {
		if err == nil && string(r.Output) != q.Want {
			err = fmt.Errorf("result %.100q, want %.100q", r.Output, q.Want)
		}
		bad = errors.Join(bad, err)
	})
	return line.Answer{}, errors.Join(err, bad)
}
