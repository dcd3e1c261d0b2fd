package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
)

// An Explanation is a decision with every step that led to it. Its JSON fields only grow.
type Explanation struct {
	Steps   []Step `json:"steps"`
	Verdict string `json:"verdict"`        // "allowed" or "refused"
	Code    string `json:"code,omitempty"` // of the refusal
	Text    string `json:"text,omitempty"` // of the refusal
	Hint    string `json:"hint,omitempty"` // what the operator may do about it

	file string
}

// A Step is one thing that was asked. Where a line of the policy gave the answer, File and Line say which.
type Step struct {
	What    string `json:"what"`  // "key", "tenant", "grant", "need", …
	Which   string `json:"which"` // the key, the tenant, the grant, …
	Outcome string `json:"outcome"`
	Why     string `json:"why,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Explain returns the decision that Authorize makes of the same arguments, step by step. The two are one evaluator.
func (p *Policy) Explain(v envelope.Verified, now time.Time) Explanation {
	x, _, _ := p.explain(v, now)
	return x
}

// ExplainRelease goes on where Explain ends: it holds what a release needs against what was granted, as
// Authorised.Hold does.
func (p *Policy) ExplainRelease(v envelope.Verified, now time.Time, need capability.Set) Explanation {
	x, who, a := p.explain(v, now)
	if who == nil {
		return x
	}
	task := a.Task()
	granted := who.rules.lookup(task.Queue, task.Task)
	_, err := a.Hold(need)
	var short *capability.ShortfallError
	if errors.As(err, &short) {
		x.refused(short.Code(), short.Error())
		x.Hint = fmt.Sprintf("grant it to role %s, or drop it from the manifest", who.rules.grants[granted.grants[0]].role)
	}
	for _, line := range need.Lines() {
		c, err := capability.Parse(line)
		if err != nil {
			panic("internal error: a capability that was parsed does not parse again: " + err.Error())
		}
		if short != nil && slices.Contains(short.Missing, c) {
			x.note("need", line, "missing", "", 0)
			continue
		}
		why := ""
		if a.narrowed != nil && !a.narrowed.Allows(c) {
			why = "the sender keeps less than this"
		}
		x.noteNeed(who, granted, c, why)
	}
	return x
}

// explain runs the evaluator with a note-taker; who is nil when it refused.
func (p *Policy) explain(v envelope.Verified, now time.Time) (Explanation, *principal, Authorised) {
	x := Explanation{Verdict: "allowed", file: p.file}
	a, refusal := p.decide(v, now, &x)
	if refusal == nil {
		return x, p.keys[v.Key().ID()].principal, a
	}
	x.refused(refusal.code, refusal.Error())
	if k := p.keys[v.Key().ID()]; refusal.code == CodeDenied && k != nil {
		task := v.Task()
		x.Hint = fmt.Sprintf("give %s a role with a grant for task %s in queue %s", k.principal.name, task.Task, task.Queue)
	}
	return x, nil, a
}

func (x *Explanation) refused(code, text string) {
	x.Verdict, x.Code, x.Text = "refused", code, text
}

// noteNeed notes the line of a decision's grants that covers c. Reading and writing may be covered by a line each.
func (x *Explanation) noteNeed(who *principal, d *decision, c capability.Capability, why string) {
	line := c.String()
	if at := who.grantLine(d, c); at != 0 {
		x.note("need", line, "granted", why, at)
		return
	}
	for _, part := range [][2]string{{" ro ", "to read"}, {" wo ", "to write"}} {
		half, err := capability.Parse(strings.Replace(line, " rw ", part[0], 1))
		if err != nil {
			panic("internal error: a part of a capability does not parse: " + err.Error())
		}
		x.note("need", line, "granted", strings.TrimPrefix(why+", "+part[1], ", "), who.grantLine(d, half))
	}
}

// grantLine is the first line of a decision's grants that covers c, 0 when none does alone.
func (who *principal) grantLine(d *decision, c capability.Capability) int {
	for _, i := range d.grants {
		for _, l := range who.rules.grants[i].caps {
			if c.Within(l.cap) {
				return l.line
			}
		}
	}
	return 0
}

// note adds a step; on nil, where nobody listens, it does nothing. So do noteKey and noteTime, which are there so that
// no text is made for nobody.
func (x *Explanation) note(what, which, outcome, why string, line int) {
	if x == nil {
		return
	}
	s := Step{What: what, Which: which, Outcome: outcome, Why: why}
	if line > 0 {
		s.File, s.Line = x.file, line
	}
	x.Steps = append(x.Steps, s)
}

func (x *Explanation) noteKey(what string, id envelope.KeyID, outcome, why string, line int) {
	if x != nil {
		x.note(what, id.String(), outcome, why, line)
	}
}

// noteTime notes a bound of validity, unless the file states none.
func (x *Explanation) noteTime(what string, t time.Time, outcome string, line int) {
	if x != nil && !t.IsZero() {
		x.note(what, t.UTC().Format(time.RFC3339), outcome, "", line)
	}
}

// noteGrants notes the principal's roles and each of their grants: those that the decision is made of match.
func (x *Explanation) noteGrants(who *principal, d *decision, task *envelope.Task) {
	for _, r := range who.roles {
		x.note("role", r.name, "held", "", r.line)
	}
	for i, g := range who.rules.grants {
		which := fmt.Sprintf("%s %d", g.role, g.number)
		if d != nil && slices.Contains(d.grants, i) {
			x.note("grant", which, "matches", fmt.Sprintf("task %s in queue %s", g.taskText(task.Task), task.Queue), g.line)
			continue
		}
		why := fmt.Sprintf("not for task %s", task.Task)
		if !slices.Contains(g.queues, task.Queue) {
			why = fmt.Sprintf("not for queue %s", task.Queue)
		}
		x.note("grant", which, "does not match", why, g.line)
	}
}

// taskText returns the line of the grant that matches the task.
func (g *grant) taskText(task string) string {
	for _, t := range g.tasks {
		if t.matches(task) {
			return t.String()
		}
	}
	return task
}

// noteLimits notes each limit that a grant or the sender states, and whose it is.
func (x *Explanation) noteLimits(who *principal, d *decision, asked, limits capability.Limits) {
	for _, f := range ceilings {
		n := f.get(limits)
		switch ceiling := f.get(d.limits); {
		case n == 0:
		case n == ceiling:
			x.note("limit", f.name+" "+f.text(n), "granted", "", ceilingLine(who, d, f.name, n))
		default:
			x.note("limit", f.name+" "+f.text(n), "asked", "by the sender", 0)
		}
		if over := f.get(asked); over > n {
			x.note("limit", f.name+" "+f.text(over), "above the grant", "the sender gets "+f.text(n), 0)
		}
	}
}

// noteGates notes what the task has to pass before it begins, and whose it is.
func (x *Explanation) noteGates(p *Policy, who *principal, d *decision) {
	if t := p.tenant(who.tenant); t != nil && t.inFlight > 0 {
		x.note("gate", "in_flight "+strconv.Itoa(t.inFlight), "shared", "by all of tenant "+t.name+" in this queue", t.inFlightLine)
	}
	if g := d.inFlight; g != nil {
		x.note("gate", "in_flight "+strconv.Itoa(g.inFlight), "shared", fmt.Sprintf("by all under grant %s %d in this queue", g.role, g.number), g.inFlightLine)
	}
	if d.every > 0 {
		x.note("gate", "rate "+rateText(d.every, d.burst), "own", "of this task of "+who.name+" in this queue", d.rateLine)
	}
}

// String returns a table, one step a line, and the verdict as the last line. It is ASCII as far as the policy's file name
// is.
func (x Explanation) String() string {
	rows := make([][4]string, 0, len(x.Steps)+1)
	for _, s := range x.Steps {
		where := ""
		if s.Line > 0 {
			where = fmt.Sprintf("%s:%d", s.File, s.Line)
		}
		outcome := s.Outcome
		if s.Why != "" {
			outcome += ": " + s.Why
		}
		rows = append(rows, [4]string{s.What, s.Which, outcome, where})
	}
	rows = append(rows, [4]string{"verdict", x.Verdict, x.Code, ""})
	var width [3]int
	for _, r := range rows {
		for i := range width {
			width[i] = max(width[i], len(r[i]))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		line := fmt.Sprintf("%-*s  %-*s  %-*s  %s", width[0], r[0], width[1], r[1], width[2], r[2], r[3])
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	return b.String()
}
