package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
)

// What follows is shown by docs/guide/sending.md and operating.md, word for word: TestGuides looks for it here.

type Redis struct {
	Addr, Password string
	CA, Cert, Key  []byte // PEM
}

// connect takes the text of the program's key file, and that of the public key of each worker.
func connect(r Redis, keyText string, workerTexts ...string) (*client.Client, *redisqueue.Client, error) {
	key, err := envelope.ParsePrivateKey(keyText) // shop.key
	if err != nil {
		return nil, nil, err
	}
	var workers []envelope.PublicKey
	for _, text := range workerTexts { // worker.key.pub
		worker, err := envelope.ParsePublicKey(text)
		if err != nil {
			return nil, nil, err
		}
		workers = append(workers, worker)
	}
	conn, err := redisqueue.Dial(redisqueue.Config{
		Addr: r.Addr, User: "shop", Password: r.Password, CA: r.CA, Cert: r.Cert, Key: r.Key,
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := client.Open(client.Config{
		Sender: conn, Results: redisqueue.OpenResults(conn), Orders: conn, Key: key, Workers: client.WorkerKeys(workers...),
		Audience: "prod", Tenant: "acme", Queue: "mail",
	})
	return c, conn, err // close conn when the program ends
}

func sendOne(ctx context.Context, c *client.Client) (client.Receipt, error) {
	return c.Send(ctx, client.Task{
		Name:     "mail.greet",
		Input:    Greeting{"Ada"},
		Priority: client.High,
		Delay:    10 * time.Second,
		Within:   5 * time.Minute, // it, and each further attempt, begins by then or not at all
	})
}

func sendAll(ctx context.Context, c *client.Client, names []string) ([]client.Receipt, error) {
	tasks := make([]client.Task, len(names)) // client.BatchMax at most
	for i, name := range names {
		tasks[i] = client.Task{Name: "mail.greet", Input: Greeting{name}}
	}
	return c.SendMany(ctx, tasks)
}

func waitFor(ctx context.Context, c *client.Client, sent client.Receipt) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	result, err := c.Wait(ctx, sent)
	var refused *client.RefusedError
	var failed *client.FailedError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("it was not run, or was ended: %s", refused.Code()) // such as policy.denied, task.cancelled
	case errors.As(err, &failed):
		return nil, fmt.Errorf("it failed for good: %s", failed.Result.Error)
	case err != nil:
		return nil, err // ctx's or the broker's: it may end yet
	}
	return result.Output, nil
}

func waitAll(ctx context.Context, c *client.Client, sent []client.Receipt, w io.Writer) error {
	return c.WaitAll(ctx, sent, func(r client.Receipt, result envelope.Result, err error) {
		fmt.Fprintln(w, r.ID, result.Status, err)
	})
}

func sendSurely(ctx context.Context, c *client.Client, task client.Task) (client.Receipt, error) {
	sent, err := c.Send(ctx, task)
	for err != nil && sent.Message != nil && ctx.Err() == nil { // it may have been sent
		time.Sleep(time.Second)
		err = c.Resend(ctx, []client.Receipt{sent}) // the same bytes, which never run twice
	}
	return sent, err
}

func pause(ctx context.Context, conn *redisqueue.Client, key envelope.PrivateKey, name string) error {
	now := time.Now()
	order := envelope.Order{
		ID: envelope.NewMessageID(), Audience: "prod", Queue: name, Act: envelope.ActPause,
		Issued: now, Expires: now.Add(time.Hour), Note: "database is moving",
	}
	signed, err := envelope.SignOrder(order, key)
	if err != nil {
		return err
	}
	return conn.Mode(ctx, name, signed, time.Hour) // Cancel and Once take the other acts
}

func watch(ctx context.Context, conn *redisqueue.Client, name string, w io.Writer) error {
	return conn.Follow(ctx, name, "", func(cursor string, e queue.Event) {
		fmt.Fprintln(w, cursor, e.Kind, e.Task, e.ID, e.Code)
	})
}

// TestSending runs what is shown as far as it goes without a broker.
func TestSending(t *testing.T) {
	if _, _, err := connect(Redis{}, "no key"); err == nil {
		t.Error("connected without a key")
	}
	if err := pause(t.Context(), nil, submitKey, "mail"); err == nil {
		t.Error("a submit key paused a queue")
	}
	q := newBroker()
	c, err := client.Open(client.Config{
		Sender: q, Results: q, Key: submitKey, Workers: client.WorkerKeys(workerKey.Public()), Audience: "prod", Tenant: "acme", Queue: "mail",
	})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := sendAll(t.Context(), c, []string{"Ada", "Grace"})
	if err != nil || len(sent) != 2 {
		t.Fatalf("%v, error %v", sent, err)
	}
	if one, err := sendOne(t.Context(), c); err != nil || one.Message == nil {
		t.Errorf("%+v, error %v", one, err)
	}
	if one, err := sendSurely(t.Context(), c, client.Task{Name: "mail.greet"}); err != nil || one.Message == nil {
		t.Errorf("%+v, error %v", one, err)
	}
	for i, result := range []envelope.Result{
		{Status: envelope.StatusDone, Output: []byte("hello")},
		{Status: envelope.StatusRefused, Code: "policy.denied"},
	} {
		result.ID, result.Message, result.Audience, result.Tenant, result.Queue, result.Task = sent[i].ID, sent[i].Digest, "prod", "acme", "mail", "mail.greet"
		result.Attempt, result.Finished = 1, time.Now()
		signed, err := envelope.SignResult(result, workerKey)
		if err != nil {
			t.Fatal(err)
		}
		q.put("mail", result.ID.String(), signed)
	}
	if out, err := waitFor(t.Context(), c, sent[0]); err != nil || string(out) != "hello" {
		t.Errorf("%q, error %v", out, err)
	}
	if _, err := waitFor(t.Context(), c, sent[1]); err == nil || err.Error() != "it was not run, or was ended: policy.denied" {
		t.Errorf("error %v", err)
	}
	if err := waitAll(t.Context(), c, sent, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestOperating pauses a queue and watches it, as shown, on a real Redis.
func TestOperating(t *testing.T) {
	conn := dialRedis(t, queuetest.Start(t, queuetest.Options{}))
	key, err := envelope.GenerateKey(envelope.Operate, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := pause(t.Context(), conn, key, "mail"); err != nil {
		t.Fatal(err)
	}
	if order, err := conn.KeptMode(t.Context(), "mail"); err != nil || len(order) == 0 {
		t.Errorf("the order that is kept: %x, error %v", order, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := watch(ctx, conn, "mail", io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestWorkerKeys: a keyring of keys knows those and no others.
func TestWorkerKeys(t *testing.T) {
	keys := client.WorkerKeys(workerKey.Public())
	if got, known := keys.WorkerKey(workerKey.Public().ID()); !known || got != workerKey.Public() {
		t.Errorf("got %v, %v", got, known)
	}
	if _, known := keys.WorkerKey(submitKey.Public().ID()); known {
		t.Error("it knows another key")
	}
}
