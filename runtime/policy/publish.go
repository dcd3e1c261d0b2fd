package policy

import (
	"fmt"
	"slices"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/queue/envelope"
)

var _ manifest.Publishers = (*Policy)(nil)

// VerifyRelease names the publisher whose key signed body, if the key is in the file, is a publish key and is not revoked.
// It reads nothing of body.
// Errors, final: manifest.ErrSignature, wrapped; *RefusalError with CodeKeyUnknown, CodeKeyPurpose or CodeKeyRevoked.
func (p *Policy) VerifyRelease(keyID, payloadType string, body, sig []byte) (publisherName string, err error) {
	id, err := envelope.ParseKeyID(keyID)
	if err != nil {
		return "", p.refuse(CodeKeyUnknown, 0, "the key id of a release is none: it %s", reason(err))
	}
	k := p.keys[id]
	switch {
	case k == nil:
		return "", p.refuse(CodeKeyUnknown, 0, "key %s is unknown", id)
	case k.publisher == nil:
		return "", p.refuse(CodeKeyPurpose, k.line, "key %s of %s is for %s", id, k.holder, k.public.Purpose())
	case k.revoked != 0:
		return "", p.refuse(CodeKeyRevoked, k.revoked, "key %s of %s is revoked", id, k.holder)
	case !k.public.Verify(payloadType, body, sig):
		return "", fmt.Errorf("policy: key %s of %s: %w", id, k.holder, manifest.ErrSignature)
	}
	return k.publisher.name, nil
}

// MayPublish reports whether a line of the publisher's tasks names this task. A name that is no publisher may not.
func (p *Policy) MayPublish(publisher, task string) bool {
	known := p.publishers[publisher]
	return known != nil && slices.ContainsFunc(known.tasks, func(t pattern) bool { return t.matches(task) })
}
