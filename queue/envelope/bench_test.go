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

// BenchmarkSignBatch and BenchmarkOpenBatch count per message of a batch of 128.
func BenchmarkSignBatch(b *testing.B) {
	list := tasks(128)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(list) == 0 {
			mustSignBatch(b, list, submitKey)
		}
	}
}

func BenchmarkOpenBatch(b *testing.B) {
	list := make([]envelope.Task, 128)
	for i := range list {
		list[i] = fullTask()
		list[i].ID[0] = byte(i + 1)
		list[i].Payload = make([]byte, 256)
	}
	messages := mustSignBatch(b, list, submitKey)
	var roots envelope.Roots
	for name, r := range map[string]envelope.Reader{"alone": reader, "remembered": {Keys: keys, Audience: "prod", Roots: &roots}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.Open(messages[i%len(messages)], now); err != nil {
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
