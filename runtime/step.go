package runtime

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// jsonType is the content type of what can stand in a JSON array as it is.
const jsonType = "application/json"

// chargeInputs counts the bytes of the inputs of granted deliveries, and returns the deliveries that fit within inputsHeldMax. The others
// are parked, so that their inputs wait in the broker and not in this worker's memory.
func (w *Worker) chargeInputs(granted []*begun) []*begun {
	fit := granted[:0]
	for _, b := range granted {
		for _, in := range b.inputs {
			b.charged += int64(len(in))
		}
		if held := w.inputs.Add(b.charged); b.charged > 0 && held > inputsHeldMax && held > b.charged {
			w.releaseInputs(b)
			w.metrics.parked.WithLabelValues("inputs").Inc()
			w.finish(b, queue.Park(w.cfg.Clock().Add(inputsPause)), nil, report{code: "parked"})
			continue
		}
		fit = append(fit, b)
	}
	return fit
}

// releaseInputs drops b's inputs, if it still has any.
func (w *Worker) releaseInputs(b *begun) {
	if b.charged > 0 {
		w.inputs.Add(-b.charged)
		b.inputs, b.charged = nil, 0
	}
}

// payload returns the payload of j: its own or, for a step that comes after others, their results. One result is its output as it is.
// Several are a JSON array in the order of the plan, in which outputs that are not JSON are base64 strings.
// Errors, final: *refusal with CodeInput, which makes all later steps fail in turn; *refusal with CodePayload.
func (w *Worker) payload(j *job) ([]byte, error) {
	after := j.task.After
	if len(after) == 0 {
		return j.task.Payload, nil
	}
	defer w.releaseInputs(j.begun)
	if len(j.inputs) != len(after) {
		return nil, &refusal{CodeInput, fmt.Sprintf("there are %d results, for %d inputs", len(j.inputs), len(after))}
	}
	results := make([]envelope.Result, len(after))
	for i, id := range after {
		var err error
		if results[i], err = w.input(j, id, j.inputs[i]); err != nil {
			return nil, err
		}
		// By the id alone, another sender of the tenant could put a message of its own in the place of the input.
		if bodies := j.task.AfterBodies; len(bodies) > 0 && results[i].Body != bodies[i] {
			return nil, &refusal{CodeInput, fmt.Sprintf("the result of %s answers another message than the plan's", id)}
		}
	}
	if len(results) == 1 {
		return results[0].Output, nil
	}
	return joined(results)
}

// input verifies one result: it must be of a worker of the policy, for that message of the same deployment, tenant and
// queue, and of a task that was done.
func (w *Worker) input(j *job, id envelope.MessageID, b []byte) (envelope.Result, error) {
	r, err := envelope.ResultReader{Keys: w.rules.Load(), Roots: &w.roots}.Open(b)
	t := &j.task
	switch {
	case err != nil:
		return r, &refusal{CodeInput, fmt.Sprintf("the result of %s does not count: %v", id, err)}
	case r.ID != id || r.Audience != t.Audience || r.Tenant != t.Tenant || r.Queue != t.Queue:
		return r, &refusal{CodeInput, fmt.Sprintf("what stands for the result of %s is another message's", id)}
	case r.Status != envelope.StatusDone:
		return r, &refusal{CodeInput, fmt.Sprintf("the task %s of %s ended as %s (%s)", r.Task, id, r.Status, r.Code)}
	}
	return r, nil
}

// joined returns several outputs as one payload.
// Errors, final: *refusal with CodePayload.
func joined(results []envelope.Result) ([]byte, error) {
	size := 2
	for _, r := range results {
		if size += base64.StdEncoding.EncodedLen(len(r.Output)) + 3; size > inputsBytesMax {
			return nil, &refusal{CodePayload, fmt.Sprintf("the results that it comes after have more than %d bytes", inputsBytesMax)}
		}
	}
	out := append(make([]byte, 0, size), '[')
	for i, r := range results {
		if i > 0 {
			out = append(out, ',')
		}
		if r.ContentType == jsonType && json.Valid(r.Output) {
			out = append(out, r.Output...)
			continue
		}
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, r.Output)
		out = append(out, '"')
	}
	return append(out, ']'), nil
}

// contentType returns the content type of output, which only matters within a plan; "" is not stated.
func (j *job) contentType(output []byte) string {
	if !j.task.Plan.IsZero() && json.Valid(output) {
		return jsonType
	}
	return ""
}

// keep returns how long the result of t is kept from now on, and whether to wake the steps that wait for it. A step's result is kept at
// least until the whole plan expires, which is when the step itself does.
func (w *Worker) keep(t *envelope.Task, verdict queue.Verdict, now time.Time) (ttl time.Duration, wake bool) {
	o := verdict.Outcome()
	if t.Plan.IsZero() || o != queue.OutcomeDone && o != queue.OutcomeDead {
		return w.cfg.ResultTTL, false
	}
	return min(w.cfg.ResultTTL+max(t.Expires.Sub(now), 0), queue.StateTTLMax), true
}
