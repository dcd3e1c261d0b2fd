package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/ask"
	"github.com/caisson-run/caisson/sdk/client"
)

// clientFile is client.toml: the sender, the deployment and the broker. Source: docs/reference/cli.md.
type clientFile struct {
	Audience string       `toml:"audience"`
	Tenant   string       `toml:"tenant"`
	Queue    string       `toml:"queue"`
	Key      string       `toml:"key"`
	Workers  []string     `toml:"workers"` // public keys whose results are believed
	Redis    redisSection `toml:"redis"`
}

// connection is an open client and what it came from.
type connection struct {
	client  *client.Client
	redis   *redisqueue.Client
	results *redisqueue.Results
	file    clientFile
	key     envelope.PrivateKey
	warn    io.Writer // is told of results that are not the workers', unless nil

	workers envelope.WorkerKeyring // whose results are believed
}

func (c *connection) close() {
	c.results.Close()
	c.redis.Close()
}

// lookFirst bounds the look before a wait.
const lookFirst = 2 * time.Second

// sayIfAway says on stderr, before a wait for r that goes on through every outage, that the broker cannot be asked just now: nobody might
// ever hear of a wrong address.
func (c *connection) sayIfAway(cmd *cobra.Command, r client.Receipt, timeout time.Duration) {
	bound := lookFirst
	if timeout > 0 {
		bound = min(bound, timeout/2)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), bound)
	defer cancel()
	_, err := c.results.Result(ctx, r.Queue, c.key.Public().ID().String(), r.ID.String())
	switch {
	case cmd.Context().Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer in %v", bound)
		fallthrough
	case passing(err):
		fmt.Fprintf(cmd.ErrOrStderr(), "caisson: waiting, but the broker cannot be asked just now: %s\n", oneLine(err.Error()))
	}
}

// connect reads client.toml, every fault of it at once, and connects. queueName replaces the file's when set.
func connect(path, queueName string) (*connection, error) {
	return connectAs(path, queueName, envelope.Submit)
}

// connectAs is connect for a key of any of purposes. Only with a submit key there is a client; others need no tenant.
func connectAs(path, queueName string, purposes ...envelope.Purpose) (*connection, error) {
	conn := &connection{file: clientFile{Queue: "default", Key: string(purposes[0]) + ".key"}}
	file, base, err := decodeFile(path, &conn.file)
	if err != nil {
		return nil, err
	}
	settings := conn.file.Redis.config(file, "redis", base)
	if conn.key, err = readPrivateKey(base.path(conn.file.Key), purposes...); err != nil && !file.Faulty("key") {
		file.Fault("key", "%s", textOf(err))
	}
	var workers []envelope.PublicKey
	if len(conn.file.Workers) == 0 && !file.Faulty("workers") {
		file.Fault("workers", "is missing: results are believed only from the keys listed here")
	}
	for i, text := range conn.file.Workers {
		key, err := envelope.ParsePublicKey(text)
		switch at := fmt.Sprintf("workers[%d]", i); {
		case file.Faulty(at):
		case err != nil:
			file.Fault(at, "%v", err)
		case key.Purpose() != envelope.Worker:
			file.Fault(at, "is for %s, and a key for worker is needed", key.Purpose())
		default:
			workers = append(workers, key)
		}
	}
	conn.workers = client.WorkerKeys(workers...)
	sends := conn.key.Public().Purpose() == envelope.Submit || len(purposes) == 1 && purposes[0] == envelope.Submit
	for key, name := range map[string]string{"audience": conn.file.Audience, "tenant": conn.file.Tenant, "queue": conn.file.Queue} {
		if key == "tenant" && name == "" && !sends {
			continue
		}
		if err := ask.NameFault(name); err != "" && !file.Faulty(key) {
			file.Fault(key, "%s", err)
		}
	}
	if err := file.Err(); err != nil {
		return nil, misused(err)
	}
	if queueName != "" {
		if err := ask.NameFault(queueName); err != "" {
			return nil, misuse("--queue: %s", err)
		}
		conn.file.Queue = queueName
	}
	return conn, conn.open(settings)
}

func (c *connection) open(settings redisqueue.Config) (err error) {
	if c.redis, err = redisqueue.Dial(settings); err != nil {
		return err
	}
	c.results = redisqueue.OpenResults(c.redis)
	if c.key.Public().Purpose() != envelope.Submit {
		return nil
	}
	c.client, err = client.Open(client.Config{
		Sender: c.redis, Results: c.results, Orders: c.redis, Key: c.key, Workers: c.workers,
		Audience: c.file.Audience, Tenant: c.file.Tenant, Queue: c.file.Queue,
		Rejected: func(err *client.RejectedError) {
			if c.warn != nil {
				fmt.Fprintf(c.warn, "caisson: %s\n", oneLine(err.Error()))
			}
		},
	})
	if err != nil {
		c.redis.Close()
	}
	return err
}
