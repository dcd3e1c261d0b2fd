package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Parse reads a policy file; name is what faults call it. Refusals and explanations call it by the last part of name,
// since dead letters carry them away from this machine.
// data is at most strict.FileSizeMax (1 MiB) and must not be changed while Parse runs; nothing of it is kept.
// Errors, final: strict.Faults, every fault of the file at once.
func Parse(name string, data []byte) (*Policy, error) {
	var src source
	file, err := strict.Decode(name, data, &src)
	if !file.Complete() {
		return nil, err // what is missing may only be missing because the syntax broke before it
	}
	r := &reader{
		file: file,
		policy: &Policy{
			file: filepath.Base(name), version: src.Version, audience: src.Audience,
			keys: map[envelope.KeyID]*key{}, publishers: map[string]*publisher{}, tenantAt: map[string]int{},
		},
		roles:      map[string]*role{},
		names:      map[string]int{},
		points:     map[string]string{},
		compiler:   compiler{rules: map[string]*rules{}},
		tenantName: map[string]bool{},
		unread:     map[string]bool{},
	}
	var faults strict.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		r.unread[f.Key] = true
	}
	r.head(src)
	r.tenants(src.Tenant)
	r.grants(src.Role)
	r.principals(src.Principal)
	r.publishers(src.Publisher)
	r.workers(src.Worker)
	if err := file.Err(); err != nil {
		return nil, err
	}
	return r.policy, nil
}

// reader collects the faults of one file while it builds the policy.
type reader struct {
	file       *strict.File
	policy     *Policy
	roles      map[string]*role
	tenantName map[string]bool
	names      map[string]int    // "tenant acme" -> the line that has the name
	points     map[string]string // the bytes of a key, whatever its purpose -> the holder
	unread     map[string]bool   // places where the decoder found a fault
	compiler   compiler
}

type role struct {
	name   string
	index  int // in the file
	grants []*grant
}

func (r *reader) line(at string) int {
	line, _ := r.file.At(at)
	return line
}

// fault adds a fault, unless the decoder has found one at that very place: a value that could not be read is not
// also missing, or zero.
func (r *reader) fault(at, format string, args ...any) {
	if !r.unread[at] {
		r.file.Fault(at, format, args...)
	}
}

func (r *reader) head(src source) {
	switch {
	case !r.file.Has("version"):
		r.fault("version", "is missing; a whole number that grows with each change of the file")
	case src.Version < 1:
		r.fault("version", "is below 1")
	}
	r.name("audience", "", src.Audience)
	r.policy.audienceLine = r.line("audience")
}

// name checks the grammar of a name and, where kind is not "", that no other of its kind has it.
func (r *reader) name(at, kind, name string) {
	if !r.file.Has(at) {
		r.fault(at, "is missing")
		return
	}
	if err := envelope.CheckName("name", name); err != nil {
		r.fault(at, "%s", reason(err))
		return
	}
	if kind == "" {
		return
	}
	id := kind + " " + name
	if first, ok := r.names[id]; ok {
		r.fault(at, "%s is already the name of the %s in line %d", name, kind, first)
		return
	}
	r.names[id] = r.line(at)
}

func (r *reader) tenants(src []tenantSrc) {
	for i, t := range src {
		at := fmt.Sprintf("tenant[%d]", i)
		r.name(at+".name", "tenant", t.Name)
		r.tenantName[t.Name] = true
		quota := int64(tenantKVDefault)
		if t.KV != nil {
			quota = int64(*t.KV)
			r.between(at+".kv", quota, bounds{1, tenantKVMax}, bytesText)
		}
		made := tenant{name: t.Name, kv: quota, line: r.line(at + ".name")}
		if t.InFlight != nil {
			r.between(at+".in_flight", *t.InFlight, bounds{1, inFlightMax}, countText)
			made.inFlight, made.gate, made.inFlightLine = int(*t.InFlight), gateName("tenant", t.Name), r.line(at+".in_flight")
		}
		r.policy.tenantAt[t.Name] = len(r.policy.tenants)
		r.policy.tenants = append(r.policy.tenants, made)
	}
}

// bounds is the range of a number that the file may state.
type bounds struct{ least, most int64 }

// between faults a stated number that is out of its range.
func (r *reader) between(at string, n int64, b bounds, text func(int64) string) {
	switch {
	case n <= 0:
		r.fault(at, "must be more than 0; leave it out to state nothing")
	case n < b.least:
		r.fault(at, "%s is below the minimum %s", text(n), text(b.least))
	case n > b.most:
		r.fault(at, "%s is above the maximum %s", text(n), text(b.most))
	}
}

// count faults a list that is longer than it may be, or empty where it must not be; the rest of it is then not read.
func (r *reader) count(at string, n, most int, emptyIs string) bool {
	switch {
	case n == 0 && emptyIs != "":
		if r.file.Has(at) {
			r.fault(at, "is empty: %s", emptyIs)
		} else {
			r.fault(at, "is missing: %s", emptyIs)
		}
	case n > most:
		r.fault(at, "has %d entries, at most %d", n, most)
		return false
	}
	return true
}

func (r *reader) principals(src []holderSrc) {
	for i, h := range src {
		at := fmt.Sprintf("principal[%d]", i)
		r.name(at+".name", "principal", h.Name)
		p := &principal{
			name: h.Name, line: r.line(at + ".name"),
			purpose: envelope.Purpose(h.Purpose), purposeLine: r.line(at + ".purpose"),
			tenant: h.Tenant, tenantLine: r.line(at + ".tenant"),
		}
		r.validity(at, h, p)
		switch p.purpose {
		case envelope.Submit:
			r.submitter(at, h, p)
		case envelope.Operate:
			r.operator(at, h)
		case envelope.Publish, envelope.Worker:
			r.fault(at+".purpose", "%s keys stand under [[publisher]] and [[worker]]", h.Purpose)
			continue
		default:
			r.fault(at+".purpose", `must be "submit" or "operate"`)
			continue
		}
		r.keys(at, holder{name: "principal " + h.Name, purpose: p.purpose, texts: h.Keys, revoked: h.Revoked, ids: h.RevokedKeys},
			func(k *key) { k.principal = p })
	}
}

// submitter reads what only those who send tasks have: a tenant and roles.
func (r *reader) submitter(at string, h holderSrc, p *principal) {
	switch {
	case !r.file.Has(at + ".tenant"):
		r.fault(at+".tenant", "is missing: every task belongs to one tenant")
	case !r.tenantName[h.Tenant]:
		r.fault(at+".tenant", "no [[tenant]] is named %q", h.Tenant)
	}
	if !r.count(at+".roles", len(h.Roles), rolesMax, "a principal without a role can send nothing") {
		return
	}
	var roles []*role
	seen := map[string]bool{}
	for i, name := range h.Roles {
		here := fmt.Sprintf("%s.roles[%d]", at, i)
		known := r.roles[name]
		switch {
		case seen[name]:
			r.fault(here, "%q is there twice", name)
		case known == nil:
			r.fault(here, "no [[role]] is named %q", name)
		default:
			roles = append(roles, known)
			p.roles = append(p.roles, held{name: name, line: r.line(here)})
		}
		seen[name] = true
	}
	rules, err := r.compiler.compile(roles)
	if err != nil {
		r.fault(at+".roles", "%s", err)
	}
	p.rules = rules
}

// operator refuses what would have no meaning for those who act for the whole deployment.
func (r *reader) operator(at string, h holderSrc) {
	for _, name := range []string{"tenant", "roles"} {
		if r.file.Has(at + "." + name) {
			r.fault(at+"."+name, "an operator has none: it sends no tasks")
		}
	}
}

func (r *reader) validity(at string, h holderSrc, p *principal) {
	if h.NotBefore != nil {
		p.from, p.fromLine = time.Time(*h.NotBefore), r.line(at+".not_before")
	}
	if h.NotAfter != nil {
		p.until, p.untilLine = time.Time(*h.NotAfter), r.line(at+".not_after")
	}
	if !p.from.IsZero() && !p.until.IsZero() && !p.from.Before(p.until) {
		r.fault(at+".not_after", "is not after not_before: these keys would never be valid")
	}
}

func (r *reader) publishers(src []pubSrc) {
	for i, s := range src {
		at := fmt.Sprintf("publisher[%d]", i)
		r.name(at+".name", "publisher", s.Name)
		p := &publisher{name: s.Name, tasks: r.patterns(at+".tasks", s.Tasks, "a publisher without tasks can publish nothing")}
		r.policy.publishers[s.Name] = p
		r.keys(at, holder{name: "publisher " + s.Name, purpose: envelope.Publish, texts: s.Keys, revoked: s.Revoked, ids: s.RevokedKeys},
			func(k *key) { k.publisher = p })
	}
}

func (r *reader) workers(src []workerSrc) {
	for i, s := range src {
		at := fmt.Sprintf("worker[%d]", i)
		r.name(at+".name", "worker", s.Name)
		r.keys(at, holder{name: "worker " + s.Name, purpose: envelope.Worker, texts: s.Keys, revoked: s.Revoked, ids: s.RevokedKeys},
			func(k *key) { k.worker = true })
	}
}

// reason returns the words of an error of another room without the room's prefix, since they follow a place in the file.
func reason(err error) string {
	var field *envelope.FieldError
	var bad *envelope.KeyError
	switch {
	case errors.As(err, &field):
		return field.Text
	case errors.As(err, &bad):
		return bad.Text
	}
	return err.Error()
}
