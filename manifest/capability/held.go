package capability

import (
	"fmt"
	"strings"
)

// A Layer is who states a set.
type Layer string

// The layers, in the order in which they are asked.
const (
	Manifest Layer = "manifest" // the author declared it
	Policy   Layer = "policy"   // the operator granted it
	Sender   Layer = "sender"   // the sender did not give it up
)

// Held is what one task may do: what the manifest, the policy and the sender all allow. The zero
// value holds nothing. It is immutable.
type Held struct {
	need, grant Set
	narrowed    *Set // nil: the sender gave nothing up
}

// A ShortfallError reports needs that a layer does not allow. It is final.
type ShortfallError struct {
	Missing []Capability
	Layer   Layer
}

func (e *ShortfallError) Error() string {
	lines := make([]string, len(e.Missing))
	for i, c := range e.Missing {
		lines[i] = c.String()
	}
	return fmt.Sprintf("capability: the %s does not allow: %s", e.Layer, strings.Join(lines, "; "))
}

// Code names the refusal.
func (e *ShortfallError) Code() string { return "capability.shortfall" }

// A DeniedError reports a request outside of what is held, and the first layer that refused it.
// It is final for the request; the task goes on.
type DeniedError struct {
	Capability Capability
	Layer      Layer
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("capability: %q is not allowed by the %s", e.Capability, e.Layer)
}

// Code names the refusal.
func (e *DeniedError) Code() string { return "capability.denied" }

// Hold joins the layers of one task. need is the manifest's, grant the policy's; narrowed is what
// the sender kept, nil when nothing was given up. Narrowing below the need is the sender's right:
// the request that misses it is denied when it comes.
// Errors, all final: *ShortfallError when need is not within grant, with all that is missing.
func Hold(need, grant Set, narrowed *Set) (Held, error) {
	if missing := need.Missing(grant); len(missing) > 0 {
		return Held{}, &ShortfallError{Missing: missing, Layer: Policy}
	}
	h := Held{need: need, grant: grant}
	if narrowed != nil {
		kept := *narrowed
		h.narrowed = &kept
	}
	return h, nil
}

// Check tells whether a request is within every layer.
// Errors: *DeniedError.
func (h Held) Check(c Capability) error {
	switch {
	case !h.need.Allows(c):
		return &DeniedError{Capability: c, Layer: Manifest}
	case !h.grant.Allows(c): // Hold has shown need within grant; asked again so that no one bug opens it
		return &DeniedError{Capability: c, Layer: Policy}
	case h.narrowed != nil && !h.narrowed.Allows(c):
		return &DeniedError{Capability: c, Layer: Sender}
	}
	return nil
}
