package policy

import (
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// A Policy is a policy file that has no fault. It never changes; a new file is a new Policy.
type Policy struct {
	file         string // as refusals and explanations call it
	version      int64
	audience     string
	audienceLine int
	tenants      []tenant       // as in the file
	tenantAt     map[string]int // by name
	keys         map[envelope.KeyID]*key
	publishers   map[string]*publisher
}

type tenant struct {
	name string
	kv   int64 // bytes
	line int

	inFlight     int    // 0: not stated
	gate         string // with inFlight
	inFlightLine int
}

// key is one public key of the file and who holds it; exactly one of principal, publisher and worker is set.
type key struct {
	public    envelope.PublicKey
	holder    string
	line      int
	revoked   int // the line that revokes it, or 0
	principal *principal
	publisher *publisher
	worker    bool
}

type principal struct {
	name        string
	line        int
	purpose     envelope.Purpose
	purposeLine int
	tenant      string // "" for an operator, who acts for the deployment
	tenantLine  int
	from, until time.Time // zero: no bound
	fromLine    int
	untilLine   int
	roles       []held
	rules       *rules // shared by all principals with the same roles; nil for an operator
}

// held is a role as a principal has it.
type held struct {
	name string
	line int // of the principal's, not of the role's
}

type publisher struct {
	name  string
	tasks []pattern
}

// Version is the number of the file, which its author raises with each change.
func (p *Policy) Version() int64 { return p.version }

// Audience is the name of the deployment that the policy is for.
func (p *Policy) Audience() string { return p.audience }

// Tenants returns the names of all tenants, in the order of the file. The caller owns the slice.
func (p *Policy) Tenants() []string {
	names := make([]string, len(p.tenants))
	for i, t := range p.tenants {
		names[i] = t.name
	}
	return names
}

// KVQuota is the most that a tenant's keys and values may take together, in bytes; 0 for a name that is no tenant.
func (p *Policy) KVQuota(name string) int64 {
	if t := p.tenant(name); t != nil {
		return t.kv
	}
	return 0
}

// tenant returns the row of that name; nil when there is none.
func (p *Policy) tenant(name string) *tenant {
	if i, ok := p.tenantAt[name]; ok {
		return &p.tenants[i]
	}
	return nil
}

// SubmitKey returns the key with that ID, for an envelope.Reader, which asks for its purpose itself: a key for
// another purpose is given too, so that its use is refused as what it is. So is a revoked key: Authorize
// refuses it with the reason.
func (p *Policy) SubmitKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	k, ok := p.keys[id]
	if !ok {
		return envelope.PublicKey{}, false
	}
	return k.public, true
}

// WorkerKey returns a worker's key, for those who read results. A revoked key, and a key for another purpose, is not
// given: a result has no later step that would refuse it.
func (p *Policy) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	k, ok := p.keys[id]
	if !ok || !k.worker || k.revoked != 0 {
		return envelope.PublicKey{}, false
	}
	return k.public, true
}

var (
	_ envelope.Keyring       = (*Policy)(nil)
	_ envelope.WorkerKeyring = (*Policy)(nil)
)
