package policy

import (
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// AuthorisedOrder is an order that its signer may give. Only AuthorizeOrder makes one that is not zero; the zero
// AuthorisedOrder cancels nothing.
type AuthorisedOrder struct {
	order     envelope.VerifiedOrder
	principal string
	sender    bool // it cancels what its own principal sent and nothing else
}

// Order returns the order as it was signed.
func (a AuthorisedOrder) Order() envelope.Order { return a.order.Order() }

// Verified returns the order with its digest, to answer it.
func (a AuthorisedOrder) Verified() envelope.VerifiedOrder { return a.order }

// Principal names who gave the order.
func (a AuthorisedOrder) Principal() string { return a.principal }

// Cancels reports whether a is an order to cancel this task: by its own id or its plan's, in its tenant and queue, and,
// where a sender gave the order, by the principal that sent the task.
func (a AuthorisedOrder) Cancels(task Authorised) bool {
	o := a.order.Order()
	if o.Act != envelope.ActCancel || a.principal == "" || task.principal == "" {
		return false
	}
	t := task.Task()
	if o.Tenant != t.Tenant || o.Queue != t.Queue || a.sender && a.principal != task.principal {
		return false
	}
	return o.Target == t.ID.String() || !t.Plan.IsZero() && o.Target == t.Plan.String()
}

// OrderKey returns the key with that ID, for an envelope.OrderReader; as SubmitKey, whatever its purpose.
func (p *Policy) OrderKey(id envelope.KeyID) (envelope.PublicKey, bool) { return p.SubmitKey(id) }

var _ envelope.OrderKeyring = (*Policy)(nil)

// AuthorizeOrder decides whether what v orders may be done, at the instant now. Operate keys may order all acts. A submit
// key may cancel, for its own tenant; which messages, AuthorisedOrder.Cancels says.
// Errors, final: *RefusalError.
func (p *Policy) AuthorizeOrder(v envelope.VerifiedOrder, now time.Time) (AuthorisedOrder, error) {
	a, refusal := p.decideOrder(v, now, nil)
	if refusal != nil {
		return AuthorisedOrder{}, refusal
	}
	return a, nil
}

// ExplainOrder returns the decision that AuthorizeOrder makes of the same arguments, step by step.
func (p *Policy) ExplainOrder(v envelope.VerifiedOrder, now time.Time) Explanation {
	x := Explanation{Verdict: "allowed", file: p.file}
	if _, refusal := p.decideOrder(v, now, &x); refusal != nil {
		x.refused(refusal.code, refusal.Error())
	}
	return x
}

// decideOrder is the one evaluator of orders. x is nil, or takes a note of each step.
func (p *Policy) decideOrder(v envelope.VerifiedOrder, now time.Time, x *Explanation) (AuthorisedOrder, *RefusalError) {
	o := v.Order()
	// The reader has asked this too; here it is asked of the policy that counts now.
	who, refusal := p.identify(v.Key(), now, use{submit: o.Act == envelope.ActCancel, operate: true, what: "only operate keys give this order"}, x)
	if refusal != nil {
		return AuthorisedOrder{}, refusal
	}
	if refusal = p.place(who, "order", o.Audience, o.Tenant, x); refusal != nil {
		return AuthorisedOrder{}, refusal
	}
	a := AuthorisedOrder{order: v, principal: who.name, sender: who.purpose == envelope.Submit}
	switch {
	case a.sender:
		x.note("act", string(o.Act), "of a sender", "what "+who.name+" sent itself, and nothing else", 0)
	default:
		x.note("act", string(o.Act), "of an operator", "", who.purposeLine)
	}
	return a, nil
}
