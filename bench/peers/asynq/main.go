package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/bench/peers/line"
	"github.com/hibiken/asynq"
)

const (
	taskType = "bench:noop"
	queue    = "default"
	output   = `{"Sum":3}`
	input    = `{"A":1,"B":2}`
	keep     = time.Hour              // of completed tasks with their results
	askEvery = 200 * time.Microsecond // in a round trip
)

// setup is what bench writes for senders; here the part that says where Redis is.
type setup struct {
	Login struct {
		Addr, User, Password string
		CA, Cert, Key        string
	}
}

// engine is this process: a sender or a server.
type engine struct {
	setup setup
	open  map[string]*end // by address
	sent  []string
}

// end is what reaches Redis at one address.
type end struct {
	client    *asynq.Client
	inspector *asynq.Inspector
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "asynq:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("want the file that says where Redis is")
	}
	e := &engine{open: map[string]*end{}}
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &e.setup); err != nil {
		return err
	}
	return line.Serve(os.Stdin, os.Stdout, nil, map[string]line.Act{"serve": e.serve, "send": e.send, "trip": e.trip, "check": e.check})
}

// redis is how to reach Redis at addr, "" for its own address.
func (e *engine) redis(addr string) (asynq.RedisClientOpt, error) {
	l := e.setup.Login
	if addr == "" {
		addr = l.Addr
	}
	ca, err := os.ReadFile(l.CA)
	if err != nil {
		return asynq.RedisClientOpt{}, err
	}
	pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return asynq.RedisClientOpt{}, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return asynq.RedisClientOpt{Addr: addr, Username: l.User, Password: l.Password, ReadTimeout: time.Minute, PoolSize: 32,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}}, nil
}

func (e *engine) end(addr string) (*end, error) {
	if got := e.open[addr]; got != nil {
		return got, nil
	}
	opt, err := e.redis(addr)
	if err != nil {
		return nil, err
	}
	made := &end{asynq.NewClient(opt), asynq.NewInspector(opt)}
	e.open[addr] = made
	return made, nil
}

func (e *engine) serve(q line.Request) (line.Answer, error) {
	opt, err := e.redis(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	server := asynq.NewServer(opt, asynq.Config{Concurrency: q.Workers, TaskCheckInterval: q.Limit, LogLevel: asynq.FatalLevel})
	mux := asynq.NewServeMux()
	mux.HandleFunc(taskType, func(_ context.Context, t *asynq.Task) error {
		_, err := t.ResultWriter().Write([]byte(output))
		return err
	})
	return line.Answer{}, server.Start(mux) // until the process ends
}

func payload(size int) []byte {
	return []byte(input + strings.Repeat(" ", max(0, size-len(input))))
}

func (e *engine) send(q line.Request) (line.Answer, error) {
	end, err := e.end(q.Addr)
	if err != nil {
		return line.Answer{}, err
	}
	data := payload(q.Size)
	e.sent = make([]string, q.Count)
	var next atomic.Int64
	var done sync.WaitGroup
	errs := make([]error, max(1, q.Workers))
	begun := time.Now()
	for i := range errs {
		done.Go(func() {
			for errs[i] == nil {
				at := int(next.Add(1)) - 1
				if at >= q.Count {
					return
				}
				var info *asynq.TaskInfo
				if info, errs[i] = end.client.Enqueue(asynq.NewTask(taskType, data), asynq.Retention(keep)); errs[i] == nil {
					e.sent[at] = info.ID
				}
			}
		})
	}
	done.Wait()
	return line.Answer{Took: time.Since(begun)}, errors.Join(errs...)
}

func (e *engine) trip(q line.Request) (a line.Answer, err error) {
	end, err := e.end(q.Addr)
	if err != nil {
		return a, err
	}
	data := payload(q.Size)
	for range q.Count {
		begun := time.Now()
		info, err := end.client.Enqueue(asynq.NewTask(taskType, data), asynq.Retention(keep))
		for err == nil && info.State != asynq.TaskStateCompleted {
			time.Sleep(askEvery)
			info, err = end.inspector.GetTaskInfo(queue, info.ID)
		}
		if err != nil {
			return a, err
		}
		a.Values = append(a.Values, time.Since(begun).Seconds()*1e3)
	}
	return a, nil
}

func (e *engine) check(q line.Request) (line.Answer, error) {
	end, err := e.end("")
	if err != nil {
		return line.Answer{}, err
	}
	all, err := end.inspector.GetQueueInfo(queue)
	if err != nil {
		return line.Answer{}, err
	}
	if all.Completed != len(e.sent) {
		return line.Answer{}, fmt.Errorf("%d of %d are completed", all.Completed, len(e.sent))
	}
	for _, id := range e.sent[:min(len(e.sent), q.Count)] {
		info, err := end.inspector.GetTaskInfo(queue, id)
		if err != nil {
			return line.Answer{}, err
		}
		if string(info.Result) != output {
			return line.Answer{}, fmt.Errorf("result %.100q", info.Result)
		}
	}
	return line.Answer{}, nil
}
