package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// tiny is a reactor that does nothing: (func (export "caisson_run") (result i32) i32.const 0), and a memory.
func tiny() []byte {
	part := func(id byte, body ...byte) []byte { return append([]byte{id, byte(len(body))}, body...) }
	name := "caisson_run"
	exports := append(append([]byte{2, byte(len(name))}, name...), 0, 0)
	exports = append(append(exports, 6), "memory"...)
	return bytes.Join([][]byte{
		[]byte("\x00asm"), binary.LittleEndian.AppendUint32(nil, 1),
		part(1, 1, 0x60, 0, 1, 0x7f), part(3, 1, 0), part(5, 1, 0, 1),
		part(7, append(exports, 2, 0)...), part(10, 1, 4, 0, 0x41, 0, 0x0b),
	}, nil)
}

// BenchmarkDrain is the whole worker, from a full queue on a real redis-server over TLS to results that are settled:
// signed messages, policy, a fresh sandbox for each, signed results. The worker chooses its batches itself.
func BenchmarkDrain(b *testing.B) {
	openShared(b)
	box, err := sandbox.Open(b.Context(), sandbox.Config{Host: shared.host}) // which does not hash each cell, as the tests' does
	check(b, err)
	defer box.Close(context.Background())
	for name, logger := range map[string]hclog.Logger{
		"silent": hclog.NewNullLogger(),
		"log":    hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: io.Discard}),
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			publish(b, w.store, job(b, "job.tiny", "", "max = 0", "[needs]\ncaps = []\n"), tiny(), 1, publisherKey)
			w.fill(b.N)
			b.ReportAllocs()
			b.ResetTimer()
			began := time.Now()
			r := w.work(func(c *runtime.Config) {
				c.Concurrency, c.Logger, c.Lease, c.Sandbox = 4, logger, time.Minute, box
			})
			done := `caisson_tasks_total{code="done",outcome="done",task="job.tiny"}`
			for r.metric(done) == "" || number(b, r.metric(done)) < float64(b.N) {
				time.Sleep(20 * time.Millisecond)
			}
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "tasks/s")
			b.StopTimer()
			for _, page := range []string{"caisson_claim_deliveries", "caisson_settle_outcomes"} {
				b.ReportMetric(number(b, r.metric(page+"_sum"))/number(b, r.metric(page+"_count")), page[8:13]+"-batch")
			}
		})
	}
}

// fill sends n tasks of job.tiny, 128 under a signature.
func (w *world) fill(n int) {
	now := time.Now()
	for n > 0 {
		tasks := make([]envelope.Task, min(n, 128))
		for i := range tasks {
			tasks[i] = envelope.Task{
				ID: envelope.NewMessageID(), Audience: audience, Tenant: "acme", Queue: queueName, Task: "job.tiny",
				Issued: now, Expires: now.Add(time.Hour), Priority: int(queue.PriorityNormal), Payload: []byte("{}"),
			}
		}
		messages, err := envelope.SignBatch(tasks, shopKey)
		check(w.t, err)
		batch := make([]queue.Outgoing, len(messages))
		for i, m := range messages {
			batch[i] = queue.Outgoing{Lane: lane(queue.PriorityNormal), Message: m}
		}
		check(w.t, w.admin.Send(w.t.Context(), batch))
		n -= len(tasks)
	}
}

func number(b *testing.B, text string) float64 {
	b.Helper()
	n, err := strconv.ParseFloat(text, 64)
	check(b, err)
	return n
}
