package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// signer signs releases with whatever key, under whatever id.
type signer struct {
	envelope.PrivateKey
	id string
}

func (s signer) KeyID() string { return s.id }

// TestPublishers signs real releases and opens them under the policy.
func TestPublishers(t *testing.T) {
	p := parse(t, simple(t))
	media, former := secret(t, envelope.Publish, "media-team"), secret(t, envelope.Publish, "former-team")
	stranger, billing := secret(t, envelope.Publish, "stranger"), submitKey(t, "billing")
	id := func(k envelope.PrivateKey) string { return k.Public().ID().String() }
	for _, row := range []struct {
		name, task string
		by         signer
		code       string // of the release's refusal
		cause      string // of the policy's, "" for none
	}{
		{"a family", "image.thumbnail", signer{media, id(media)}, "", ""},
		{"a name", "csv.report", signer{media, id(media)}, "", ""},
		{"another task", "mail.send", signer{media, id(media)}, "release.publisher", ""},
		{"the family itself", "image", signer{media, id(media)}, "release.publisher", ""},
		{"below a name", "csv.report.all", signer{media, id(media)}, "release.publisher", ""},
		{"unknown key", "image.thumbnail", signer{stranger, id(stranger)}, "release.publisher", "policy.key_unknown"},
		{"no key id", "image.thumbnail", signer{media, strings.ToUpper(id(media))}, "release.publisher", "policy.key_unknown"},
		{"submit key", "image.thumbnail", signer{billing, id(billing)}, "release.publisher", "policy.key_purpose"},
		{"revoked key", "image.thumbnail", signer{former, id(former)}, "release.publisher", "policy.key_revoked"},
		{"another's signature", "image.thumbnail", signer{stranger, id(media)}, "release.signature", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := manifest.Parse("task.toml", []byte("task = \""+row.task+"\"\nmodule = \"a.wasm\"\n"))
			if err != nil {
				t.Fatal(err)
			}
			b, err := manifest.SignRelease(m, []byte("module"), 1, row.by)
			if err != nil {
				t.Fatal(err)
			}
			r, err := manifest.OpenRelease(b, p)
			if got := code(t, err); got != row.code {
				t.Fatalf("got %q (%v), want %q", got, err, row.code)
			}
			var refusal *policy.RefusalError
			if errors.As(err, &refusal) != (row.cause != "") || refusal != nil && refusal.Code() != row.cause {
				t.Errorf("the cause is %v, want %q", refusal, row.cause)
			}
			if err == nil && r.Publisher() != "media-team" {
				t.Errorf("publisher %q", r.Publisher())
			}
		})
	}
	if p.MayPublish("billing", "image.thumbnail") || p.MayPublish("", "image.thumbnail") {
		t.Error("who is no publisher may publish")
	}
}
