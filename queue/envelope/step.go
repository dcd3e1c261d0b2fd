package envelope

import "fmt"

// stepArity is the number of values in a step's body: a task's, the plan and what it comes after.
const stepArity = taskArity + 2

// checkStep refuses what would give a step two inputs, or none that anyone could make.
func (t *Task) checkStep() error {
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

// writeStep writes what a step has more than a task.
func (t *Task) writeStep(e *encoder) {
	e.id(t.Plan[:])
	e.array(len(t.After))
	for i := range t.After {
		e.id(t.After[i][:])
	}
}

// readStep reads what writeStep wrote. A plan of zeros would be none, and is refused here: a task that is no step has
// another type.
func (t *Task) readStep(d *decoder) {
	d.fixed("plan", t.Plan[:], false)
	if d.err == nil && t.Plan.IsZero() {
		d.err = &FieldError{"plan", "is missing"}
	}
	n := d.array("after")
	if d.err == nil && n < 0 {
		d.fail("after", "not an array")
	}
	if d.err == nil && n > AfterMax {
		d.err = &FieldError{"after", fmt.Sprintf("are more than %d", AfterMax)}
	}
	if d.err != nil || n == 0 {
		return
	}
	t.After = make([]MessageID, n)
	for i := range t.After {
		d.fixed("after", t.After[i][:], false)
	}
}
