package envelope

import "fmt"

// stepArity is the number of values in a step's body: a task's, the plan and what it comes after. One with AfterBodies
// has one more.
const stepArity = taskArity + 2

// BodyDigest returns the hash of t's body as a leaf of a batch: what a later step's AfterBodies and a result's Body say of the message
// that Sign or SignBatch makes of t. Unlike the digest of the message it is known before anything is signed, so that a step can be
// bound to an earlier step under the same signature.
// Errors, final: as Sign's for t.
// Source: docs/reference/envelope.md, "Batches" and "Body of a step".
func BodyDigest(t Task, key PrivateKey) (Digest, error) {
	body, err := t.prepare(key)
	if err != nil {
		return Digest{}, err
	}
	return Digest(leafHash(t.wireType(), body)), nil
}

// checkStep refuses a step with an input of its own beside After, and values of After that no message can have.
func (t *Task) checkStep() error {
	if n := len(t.AfterBodies); n > 0 && n != len(t.After) {
		return &FieldError{"after_bodies", "are not as many as after"}
	}
	for i, body := range t.AfterBodies {
		if body.IsZero() {
			return &FieldError{at("after_bodies", i), "is missing"}
		}
	}
	if len(t.After) == 0 {
		return nil
	}
	if t.Plan.IsZero() {
		return &FieldError{"after", "is given, but the task is no step of a plan"}
	}
	if len(t.After) > AfterMax {
		return &FieldError{"after", fmt.Sprintf("are more than %d", AfterMax)}
	}
	seen := make(map[MessageID]struct{}, len(t.After))
	for i, id := range t.After {
		if id.IsZero() {
			return &FieldError{at("after", i), "is no id"}
		}
		if id == t.ID {
			return &FieldError{at("after", i), "is the step itself"}
		}
		if _, ok := seen[id]; ok {
			return &FieldError{at("after", i), "is there twice"}
		}
		seen[id] = struct{}{}
	}
	if len(t.Payload) > 0 {
		return &FieldError{"payload", "is given to a step whose payload is the results that it comes after"}
	}
	if t.ContentType != "" {
		return &FieldError{"content_type", "is given to a step whose payload is the results that it comes after"}
	}
	return nil
}

// writeStep writes the fields that only a step has.
func (t *Task) writeStep(e *encoder) {
	e.id(t.Plan[:])
	e.array(len(t.After))
	for i := range t.After {
		e.id(t.After[i][:])
	}
	if len(t.AfterBodies) == 0 {
		return
	}
	e.array(len(t.AfterBodies))
	for i := range t.AfterBodies {
		e.id(t.AfterBodies[i][:])
	}
}

// readStep reads what writeStep wrote; more says that AfterBodies are there. A zero plan is refused, since a task that is no step has
// another type.
func (t *Task) readStep(d *decoder, more bool) {
	d.fixed("plan", t.Plan[:], false)
	if d.err == nil && t.Plan.IsZero() {
		d.err = &FieldError{"plan", "is missing"}
	}
	if n := d.count("after", AfterMax); n > 0 {
		t.After = make([]MessageID, n)
	}
	for i := range t.After {
		d.fixed("after", t.After[i][:], false)
	}
	if !more {
		return
	}
	if n := d.count("after_bodies", AfterMax); n > 0 {
		t.AfterBodies = make([]Digest, n)
	}
	for i := range t.AfterBodies {
		d.fixed("after_bodies", t.AfterBodies[i][:], false)
	}
}

// count reads the head of an array of at most max values.
func (d *decoder) count(what string, max int) int {
	n := d.array(what)
	if d.err == nil && n < 0 {
		d.fail(what, "not an array")
	}
	if d.err == nil && n > max {
		d.err = &FieldError{what, fmt.Sprintf("are more than %d", max)}
	}
	if d.err != nil {
		return 0
	}
	return n
}
