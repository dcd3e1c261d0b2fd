package policy

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/caisson-run/caisson/queue/envelope"
)

// holder is what principals, publishers and workers have in common: keys.
type holder struct {
	name    string // with its kind
	purpose envelope.Purpose
	texts   []string
	revoked bool     // all of them
	ids     []string // of those that are
}

// keys reads the keys of one holder and enters those without fault; own ties a key to its holder.
func (r *reader) keys(at string, h holder, own func(*key)) {
	if !r.count(at+".keys", len(h.texts), keysMax, "nobody could act as this "+strings.Fields(h.name)[0]) {
		return
	}
	here := map[envelope.KeyID]*key{}
	for i, text := range h.texts {
		k := r.key(fmt.Sprintf("%s.keys[%d]", at, i), h, text)
		if k == nil {
			continue
		}
		own(k)
		if h.revoked {
			k.revoked = r.line(at + ".revoked")
		}
		here[k.public.ID()] = k
	}
	if !r.count(at+".revoked_keys", len(h.ids), keysMax, "") {
		return
	}
	for i, text := range h.ids {
		place := fmt.Sprintf("%s.revoked_keys[%d]", at, i)
		id, err := envelope.ParseKeyID(text)
		if err != nil {
			r.fault(place, "%s", reason(err))
			continue
		}
		k := here[id]
		if k == nil {
			// A slip here would leave a stolen key valid, so it cannot be let pass.
			r.fault(place, "none of the keys beside it has this id: a revoked key stays under keys")
			continue
		}
		k.revoked = r.line(place)
	}
}

// key reads one key text; nil when it has a fault.
func (r *reader) key(place string, h holder, text string) *key {
	public, err := envelope.ParsePublicKey(text)
	if err != nil {
		r.fault(place, "%s", reason(err))
		return nil
	}
	if public.Purpose() != h.purpose {
		r.fault(place, "this is a %s key; here stand %s keys", public.Purpose(), h.purpose)
		return nil
	}
	point := keyPoint(text)
	if other, ok := r.points[point]; ok {
		r.fault(place, "%s has this key already: a key belongs to one and has one purpose", other)
		return nil
	}
	r.points[point] = h.name
	k := &key{public: public, holder: h.name, line: r.line(place)}
	r.policy.keys[public.ID()] = k
	return k
}

// keyPoint returns the 32 bytes of a key, without purpose and checksum, from its text, which has been parsed already.
// Two purposes with the same bytes would be the same secret in two hands.
func keyPoint(text string) string {
	const digits = 48 // base64url of 32 bytes and 4 of checksum
	b, err := base64.RawURLEncoding.DecodeString(text[max(0, len(text)-digits):])
	if err != nil || len(b) != 36 {
		panic("internal error: a public key that was parsed has another form: " + text)
	}
	return string(b[:32])
}
