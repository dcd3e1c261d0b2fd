package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
)

// The codes of a RefusalError. All are final: the same message is refused again until the policy changes.
// Source: docs/reference/refusals.md.
const (
	CodeKeyUnknown = "policy.key_unknown" // the key is not, or no longer, in the policy
	CodeKeyPurpose = "policy.key_purpose" // the key is not for submitting, or not for this order
	CodeKeyRevoked = "policy.key_revoked" // the key is revoked, whatever the message says of when it was signed
	CodeKeyNotYet  = "policy.key_not_yet" // before the principal's not_before
	CodeKeyExpired = "policy.key_expired" // at or after the principal's not_after
	CodeAudience   = "policy.audience"    // the message is for another deployment
	CodeTenant     = "policy.tenant"      // the message is for a tenant that is not the principal's
	CodeDenied     = "policy.denied"      // no grant allows this task in this queue
	CodeLimits     = "policy.limits"      // the payload is longer than the grants allow
	CodeNarrowing  = "policy.narrowing"   // what the sender narrows the task to cannot be read
)

// A RefusalError reports why a verified message may not run, or an order is not obeyed. It is final.
type RefusalError struct {
	Layer capability.Layer // who said no: capability.Policy, or capability.Sender for CodeNarrowing
	Text  string           // says what and which, in names and ids only
	File  string           // of the policy, "" where the policy has no part in it
	Line  int              // of the rule that refused, 0 where none did: nothing allowed it
	code  string
}

func (e *RefusalError) Error() string {
	switch {
	case e.File == "":
		return "policy: " + e.Text
	case e.Line == 0:
		return fmt.Sprintf("policy: %s (%s: no rule allows it)", e.Text, e.File)
	}
	return fmt.Sprintf("policy: %s (%s:%d)", e.Text, e.File, e.Line)
}

// Code returns one of the codes above.
func (e *RefusalError) Code() string { return e.code }

// Authorised is a task that its sender may have run. Only Authorize makes one that is not zero; the zero Authorised
// grants nothing.
type Authorised struct {
	message   envelope.Verified
	by        *Policy
	who       *principal
	principal string
	tenant    string
	grant     capability.Set
	limits    capability.Limits
	narrowed  *capability.Set // nil: the sender gave nothing up
	gates     []Gate
}

// Task returns the task as it was signed. Its payload is shared with the message and must not be changed.
func (a Authorised) Task() envelope.Task { return a.message.Task() }

// Stands reports whether p, asked again at the instant now, would say the same: it is the policy that decided, and of a
// decision only the validity of the principal's keys depends on the time.
func (a Authorised) Stands(p *Policy, now time.Time) bool {
	return a.by == p && a.who != nil && !now.Before(a.who.from) && (a.who.until.IsZero() || now.Before(a.who.until))
}

// Principal names who sent the task.
func (a Authorised) Principal() string { return a.principal }

// Tenant names whom the task is for: the envelope's tenant, which is the principal's.
func (a Authorised) Tenant() string { return a.tenant }

// Digest is the SHA-256 of the message.
func (a Authorised) Digest() envelope.Digest { return a.message.Digest() }

// Grant is the ceiling of capabilities: all that the matching grants allow together.
func (a Authorised) Grant() capability.Set { return a.grant }

// Limits are the ceilings of the grants, tightened by what the sender asked for. A zero field is stated by neither.
func (a Authorised) Limits() capability.Limits { return a.limits }

// Hold returns the powers of one run of this task: what its manifest needs, if the grants cover all of it, less what the
// sender gave up.
// Errors, final: *capability.ShortfallError, which names all that is needed and not granted.
func (a Authorised) Hold(need capability.Set) (capability.Held, error) {
	return capability.Hold(need, a.grant, a.narrowed)
}

// Authorize decides whether what v asks for may run, at the instant now. It reads nothing of the message but its signed
// fields, and its cost does not grow with the policy.
// Errors, final: *RefusalError.
func (p *Policy) Authorize(v envelope.Verified, now time.Time) (Authorised, error) {
	a, refusal := p.decide(v, now, nil)
	if refusal != nil {
		return Authorised{}, refusal
	}
	return a, nil
}

// decide is the one evaluator. x is nil, or takes a note of each step.
func (p *Policy) decide(v envelope.Verified, now time.Time, x *Explanation) (Authorised, *RefusalError) {
	task := v.Task()
	who, refusal := p.identify(v.Key(), now, use{submit: true, what: "only submit keys send tasks"}, x)
	if refusal != nil {
		return Authorised{}, refusal
	}
	if refusal = p.place(who, "message", task.Audience, task.Tenant, x); refusal != nil {
		return Authorised{}, refusal
	}
	granted := who.rules.lookup(task.Queue, task.Task)
	if x != nil {
		x.noteGrants(who, granted, &task)
	}
	if granted == nil {
		return Authorised{}, p.refuse(CodeDenied, 0, "%s may not send task %s to queue %s", who.name, task.Task, task.Queue)
	}
	limits, refusal := p.limit(who, granted, &task, x)
	if refusal != nil {
		return Authorised{}, refusal
	}
	narrowed, refusal := p.narrow(&task, x)
	if refusal != nil {
		return Authorised{}, refusal
	}
	return Authorised{
		message: v, by: p, who: who, principal: who.name, tenant: task.Tenant,
		grant: granted.caps, limits: limits, narrowed: narrowed, gates: p.gates(who, granted, task.Task),
	}, nil
}

func (p *Policy) refuse(code string, line int, format string, args ...any) *RefusalError {
	return &RefusalError{Layer: capability.Policy, Text: fmt.Sprintf(format, args...), File: p.file, Line: line, code: code}
}

// use is what a key is about to be used for.
type use struct {
	submit, operate bool   // which purposes may
	what            string // says it when they may not
}

// identify finds who holds the key and whether the key counts at this instant.
// Revocation comes before validity, and neither asks when the message says it was issued: a thief writes that.
func (p *Policy) identify(signer envelope.PublicKey, now time.Time, want use, x *Explanation) (*principal, *RefusalError) {
	id := signer.ID()
	k := p.keys[id]
	if k == nil || k.public != signer {
		x.noteKey("key", id, "unknown", "", 0)
		return nil, p.refuse(CodeKeyUnknown, 0, "key %s is unknown", id)
	}
	x.noteKey("key", id, "known", k.holder, k.line)
	who := k.principal
	if who == nil || !(want.submit && who.purpose == envelope.Submit || want.operate && who.purpose == envelope.Operate) {
		x.note("purpose", string(k.public.Purpose()), "wrong", want.what, k.line)
		return nil, p.refuse(CodeKeyPurpose, k.line, "key %s of %s is for %s", id, k.holder, k.public.Purpose())
	}
	x.note("purpose", string(who.purpose), "right", "", who.purposeLine)
	if k.revoked != 0 {
		x.noteKey("revoked", id, "yes", "", k.revoked)
		return nil, p.refuse(CodeKeyRevoked, k.revoked, "key %s of %s is revoked", id, k.holder)
	}
	x.noteKey("revoked", id, "no", "", 0)
	if !who.from.IsZero() && now.Before(who.from) {
		x.noteTime("not_before", who.from, "not yet", who.fromLine)
		return nil, p.refuse(CodeKeyNotYet, who.fromLine, "the keys of %s are not valid yet", k.holder)
	}
	x.noteTime("not_before", who.from, "begun", who.fromLine)
	if !who.until.IsZero() && !now.Before(who.until) {
		x.noteTime("not_after", who.until, "over", who.untilLine)
		return nil, p.refuse(CodeKeyExpired, who.untilLine, "the keys of %s are not valid any more", k.holder)
	}
	x.noteTime("not_after", who.until, "not over", who.untilLine)
	return who, nil
}

// place checks that a message or an order is for this deployment, which its reader has asked too, and for the signer's
// tenant. An operator has none and acts for all.
func (p *Policy) place(who *principal, what, audience, tenant string, x *Explanation) *RefusalError {
	if audience != p.audience {
		x.note("audience", audience, "not ours", "", p.audienceLine)
		return p.refuse(CodeAudience, p.audienceLine, "the %s is for %s, this is the policy of %s", what, audience, p.audience)
	}
	x.note("audience", audience, "ours", "", p.audienceLine)
	if who.purpose == envelope.Operate {
		return nil
	}
	if tenant != who.tenant {
		x.note("tenant", tenant, "not the sender's", "", who.tenantLine)
		return p.refuse(CodeTenant, who.tenantLine, "%s sends for tenant %s, not for %s", who.name, who.tenant, tenant)
	}
	x.note("tenant", tenant, "the sender's", "", who.tenantLine)
	return nil
}

// limit tightens the ceilings of the grants by what the sender asked, and holds the payload to its ceiling, since
// that is known already.
func (p *Policy) limit(who *principal, granted *decision, task *envelope.Task, x *Explanation) (capability.Limits, *RefusalError) {
	asked := capability.Limits{
		Memory: task.Limits.Memory, Stack: task.Limits.Stack, Result: task.Limits.Result,
		Wall: task.Limits.Wall, CPU: task.Limits.CPU, Calls: task.Limits.Calls,
	}
	limits := granted.limits.Tightest(asked)
	if x != nil {
		x.noteLimits(who, granted, asked, limits)
		x.noteGates(p, who, granted)
	}
	if most := granted.limits.Payload; most > 0 && int64(len(task.Payload)) > most {
		line := ceilingLine(who, granted, "payload", most)
		x.note("payload", bytesText(int64(len(task.Payload))), "too long", "", line)
		return limits, p.refuse(CodeLimits, line, "the payload has %d bytes, %s may send %d", len(task.Payload), who.name, most)
	}
	return limits, nil
}

// narrow reads what the sender keeps; nil where it gave nothing up.
func (p *Policy) narrow(task *envelope.Task, x *Explanation) (*capability.Set, *RefusalError) {
	if !task.Narrowed {
		return nil, nil
	}
	set, err := capability.ParseSet(task.Caps)
	if err != nil {
		x.note("narrowed", "", "cannot be read", "", 0)
		refusal := p.refuse(CodeNarrowing, 0, "the sender narrows the task to capabilities that cannot be read")
		refusal.Layer, refusal.File = capability.Sender, ""
		return nil, refusal
	}
	if x != nil {
		x.note("narrowed", strings.Join(set.Lines(), ", "), "by the sender", "", 0)
	}
	return &set, nil
}

// ceilingLine is the line that states the loosest of a limit, which is n.
func ceilingLine(who *principal, d *decision, name string, n int64) int {
	for _, i := range d.grants {
		g := who.rules.grants[i]
		for _, f := range ceilings {
			if f.name == name && f.get(g.limits) == n {
				return g.limitLines[name]
			}
		}
	}
	return 0
}
