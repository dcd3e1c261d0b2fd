package envelope_test

import (
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// sizes are payloads as they occur: a small argument list, and the largest.
var sizes = []struct {
	name string
	n    int
}{{"256B", 256}, {"224KiB", envelope.PayloadSizeMax}}

func BenchmarkSign(b *testing.B) {
	for _, size := range sizes {
		task := fullTask()
		task.Payload = make([]byte, size.n)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustSign(b, task, submitKey)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range sizes {
		task := fullTask()
		task.Payload = make([]byte, size.n)
		msg := mustSign(b, task, submitKey)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reader.Open(msg, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is the floor of Open: the signature alone.
func BenchmarkVerify(b *testing.B) {
	body := make([]byte, 512)
	sig := submitKey.Sign(envelope.TaskType, body)
	for b.Loop() {
		if !submitKey.Public().Verify(envelope.TaskType, body, sig) {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkOpenResult(b *testing.B) {
	signed := mustSignResult(b, fullResult(), workerKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.OpenResult(signed, keys); err != nil {
			b.Fatal(err)
		}
	}
}
