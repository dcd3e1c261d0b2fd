package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
	"github.com/caisson-run/caisson/sdk/guest"
)

// What follows is shown by docs/guide/coming-from-celery.md and coming-from-asynq.md, word for word: TestGuides looks for it here.

// Greeting is the task's input, Greeted its result.
type (
	Greeting struct{ Name string }
	Greeted  struct{ Text string }
)

func greet(_ context.Context, in Greeting) (Greeted, error) {
	if in.Name == "" {
		return Greeted{}, guest.Fail(errors.New("no name")) // for good; any other error is tried again
	}
	return Greeted{Text: "Hello, " + in.Name}, nil
}

func init() { guest.Handle(greet) }

type Resize struct {
	URL   string
	Width int
}

func greetAndWait(ctx context.Context, c *client.Client) (string, error) {
	sent, err := c.Send(ctx, client.Task{Name: "mail.greet", Input: Greeting{"Ada"}, Delay: 10 * time.Second, Within: 5 * time.Minute})
	if err != nil {
		return "", err
	}
	result, err := c.Wait(ctx, sent) // *client.FailedError, *client.RefusedError: it ended, but not well
	if err != nil {
		return "", err
	}
	var out Greeted
	err = json.Unmarshal(result.Output, &out)
	return out.Text, err
}

func greetOnce(ctx context.Context, c *client.Client) error {
	sent, err := c.Send(ctx, client.Task{Name: "mail.greet", Input: Greeting{"Ada"}, UniqueKey: "Ada", UniqueWindow: time.Hour})
	if err != nil {
		return err
	}
	_, err = c.Wait(ctx, sent)
	var duplicate *client.DuplicateError
	if errors.As(err, &duplicate) {
		return nil // duplicate.First is the one that ran
	}
	return err
}

func resizeAll(ctx context.Context, c *client.Client, url string) (client.PlanReceipt, error) {
	plan := client.Chord(
		client.Task{Name: "image.publish"},
		client.Task{Name: "image.resize", Input: Resize{url, 64}},
		client.Task{Name: "image.resize", Input: Resize{url, 128}},
	)
	sent, err := c.SendPlan(ctx, plan)
	return sent, err
}

func dial(addr, password string, ca []byte, key envelope.PrivateKey, workers envelope.WorkerKeyring) (*client.Client, error) {
	conn, err := redisqueue.Dial(redisqueue.Config{Addr: addr, User: "producer", Password: password, CA: ca})
	if err != nil {
		return nil, err
	}
	return client.Open(client.Config{
		Sender: conn, Results: redisqueue.OpenResults(conn), Key: key, Workers: workers,
		Audience: "prod", Tenant: "acme", Queue: "mail",
	})
}

// TestGuides holds the guides' code of ours against the files here that compile it, and reads their manifests.
func TestGuides(t *testing.T) {
	for page, from := range map[string]struct {
		file   string
		blocks int
	}{
		"coming-from-celery.md": {"moving_test.go", 3},
		"coming-from-asynq.md":  {"moving_test.go", 3},
		"sending.md":            {"sending_test.go", 6},
		"operating.md":          {"sending_test.go", 2},
	} {
		source, err := os.ReadFile(from.file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", page))
		if err != nil {
			t.Fatal(err)
		}
		compiled, shown := unindented(string(source)), 0
		for _, block := range strings.Split(string(text), "\n```go\n")[1:] {
			block, _, _ = strings.Cut(block, "\n```")
			if strings.HasPrefix(block, "// asynq\n") {
				continue
			}
			shown++
			if !strings.Contains(compiled, unindented(block)) {
				t.Errorf("%s shows code that is not in %s:\n%s", page, from.file, block)
			}
		}
		if shown != from.blocks {
			t.Errorf("%s: %d blocks of code, want %d", page, shown, from.blocks)
		}
		if from.file != "moving_test.go" {
			continue
		}
		for _, block := range strings.Split(string(text), "\n```toml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			if _, err := manifest.Parse(page, []byte(block)); err != nil {
				t.Error(err)
			}
		}
	}
}

func unindented(code string) string {
	lines := strings.Split(code, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// TestMovingTask runs what is shown as far as it goes without a broker.
func TestMovingTask(t *testing.T) {
	if got, err := greet(t.Context(), Greeting{"Ada"}); err != nil || got.Text != "Hello, Ada" {
		t.Errorf("%+v, error %v", got, err)
	}
	if _, err := greet(t.Context(), Greeting{}); err == nil {
		t.Error("a greeting without a name")
	}
	if _, err := dial("127.0.0.1:1", "", nil, submitKey, ring{workerKey.Public()}); err == nil {
		t.Error("dialled without a password")
	}
	c, err := client.Open(client.Config{Sender: newBroker(), Key: submitKey, Audience: "prod", Tenant: "acme", Queue: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	if sent, err := resizeAll(t.Context(), c, "https://img.example.com/1.png"); err != nil || len(sent.Receipts()) != 3 {
		t.Errorf("%+v, error %v", sent, err)
	}
	for name, send := range map[string]func() error{
		"wait": func() error { _, err := greetAndWait(t.Context(), c); return err },
		"once": func() error { return greetOnce(t.Context(), c) },
	} {
		var missing *client.ConfigError // it was sent; there is no reader of results to wait with
		if err := send(); !errors.As(err, &missing) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
