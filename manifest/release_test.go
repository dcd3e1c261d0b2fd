package manifest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest"
)

// update rewrites the golden release: go test ./manifest/ -run Golden -update
var update = flag.Bool("update", false, "rewrite testdata/release.json")

// publisher is the key of testdata/publisher.key. It makes DSSE's pre-authentication encoding by
// itself, as a second implementation of it.
type publisher struct{ private ed25519.PrivateKey }

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testKey(t testing.TB) publisher {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(golden(t, "publisher.key"))), "\n")
	seed, err := hex.DecodeString(lines[len(lines)-1])
	if err != nil || len(seed) != ed25519.SeedSize {
		t.Fatalf("publisher.key: %v", err)
	}
	return publisher{ed25519.NewKeyFromSeed(seed)}
}

func (p publisher) public() ed25519.PublicKey { return p.private.Public().(ed25519.PublicKey) }
func (p publisher) KeyID() string             { return hex.EncodeToString(p.public()[:16]) }
func (p publisher) Sign(payloadType string, body []byte) []byte {
	return ed25519.Sign(p.private, pae(payloadType, body))
}

func pae(payloadType string, body []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(body), body)
}

// policy accepts one publisher, for tasks that begin with its prefix. It records what it was asked.
type policy struct {
	key      publisher
	prefix   string
	revoked  bool
	verified int
}

func (p *policy) VerifyRelease(keyID, payloadType string, body, sig []byte) (string, error) {
	p.verified++
	switch {
	case keyID != p.key.KeyID():
		return "", errors.New("unknown key")
	case p.revoked:
		return "", errors.New("revoked")
	case !ed25519.Verify(p.key.public(), pae(payloadType, body), sig):
		return "", fmt.Errorf("ed25519: %w", manifest.ErrSignature)
	}
	return "alice", nil
}

func (p *policy) MayPublish(publisher, task string) bool {
	return publisher == "alice" && strings.HasPrefix(task, p.prefix)
}

func TestReleaseGolden(t *testing.T) {
	key, text, module := testKey(t), golden(t, "task.toml"), golden(t, "module.wasm")
	m, err := manifest.Parse("task.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := manifest.SignRelease(m, module, 7, key)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/release.json", b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := golden(t, "release.json"); !bytes.Equal(b, want) {
		t.Fatalf("got\n%s\nwant\n%s", b, want)
	}
	r, err := manifest.OpenRelease(b, &policy{key: key, prefix: "image."})
	if err != nil {
		t.Fatal(err)
	}
	digest := manifest.Digest(sha256.Sum256(module))
	if r.Number() != 7 || r.Publisher() != "alice" || r.KeyID() != key.KeyID() || r.Digest() != digest || r.Manifest().Task != "image.thumbnail" || r.Manifest().Text != string(text) {
		t.Errorf("got %+v", r)
	}
	bound, err := r.Bind(module)
	if err != nil || &bound.Module()[0] != &module[0] || bound.Number() != 7 {
		t.Errorf("Bind does not hold the buffer that it hashed: %v", err)
	}
	// The envelope read by the standard library alone is what its specifications say.
	var e struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		} `json:"signatures"`
	}
	var s map[string]any
	if err := json.Unmarshal(b, &e); err != nil || json.Unmarshal(e.Payload, &s) != nil {
		t.Fatal(err)
	}
	if e.PayloadType != "application/vnd.in-toto+json" || !ed25519.Verify(key.public(), pae(e.PayloadType, e.Payload), e.Signatures[0].Sig) {
		t.Error("not a DSSE envelope of an in-toto statement")
	}
	want := map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "image.thumbnail", "digest": map[string]any{"sha256": hex.EncodeToString(digest[:])}}},
		"predicateType": "https://caisson.run/release/v1",
		"predicate":     map[string]any{"number": 7.0, "manifest": string(text)},
	}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("statement\n%v\nwant\n%v", s, want)
	}
}

// statement is a body that can be bent before it is signed.
const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"DIGEST"}}],"predicateType":"https://caisson.run/release/v1","predicate":{"number":1,"manifest":"task = \"a\"\nmodule = \"a.wasm\"\n"}}`

var anyDigest = strings.Repeat("ab", 32)

// seal signs a body as it is.
func seal(k publisher, payloadType, body string) string {
	return fmt.Sprintf(`{"payload":%q,"payloadType":%q,"signatures":[{"keyid":%q,"sig":%q}]}`, base64.StdEncoding.EncodeToString([]byte(body)), payloadType,
		k.KeyID(), base64.StdEncoding.EncodeToString(k.Sign(payloadType, []byte(body))))
}

func TestOpenReleaseRefuses(t *testing.T) {
	key := testKey(t)
	body := strings.Replace(statement, "DIGEST", anyDigest, 1)
	good := seal(key, manifest.PayloadType, body)
	if _, err := manifest.OpenRelease([]byte(good), &policy{key: key}); err != nil {
		t.Fatalf("the statement that the cases bend is not good itself: %v", err)
	}
	bent := func(old, new string) string { // a change that the publisher has signed
		if !strings.Contains(body, old) {
			t.Fatalf("nothing to bend: %q", old)
		}
		return seal(key, manifest.PayloadType, strings.Replace(body, old, new, 1))
	}
	broken := func(old, new string) string { // a change to what was signed
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to break: %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	other := publisher{ed25519.NewKeyFromSeed(make([]byte, 32))}
	sig := good[strings.Index(good, `"sig":"`)+7 : len(good)-4]
	tests := []struct{ name, release, code string }{
		// The envelope.
		{"empty", "", manifest.CodeFormat},
		{"null", "null", manifest.CodeFormat},
		{"array", "[]", manifest.CodeFormat},
		{"deep", strings.Repeat("[", 10_001), manifest.CodeFormat},
		{"deep in a field", `{"payload":` + strings.Repeat("[", 10_001), manifest.CodeFormat},
		{"too large", good + strings.Repeat(" ", manifest.ReleaseSizeMax), manifest.CodeFormat},
		{"byte order mark", "\ufeff" + good, manifest.CodeFormat},
		{"space before", " " + good, manifest.CodeFormat},
		{"newline after", good + "\n", manifest.CodeFormat},
		{"trailing bytes", good + "{}", manifest.CodeFormat},
		{"space within", broken(`,"payloadType"`, `, "payloadType"`), manifest.CodeFormat},
		{"unknown key", broken(`{"payload"`, `{"x":1,"payload"`), manifest.CodeFormat},
		{"duplicate key", broken(`,"payloadType"`, `,"payload":"AAAA","payloadType"`), manifest.CodeFormat},
		{"key in another case", broken(`"payloadType"`, `"PayloadType"`), manifest.CodeFormat},
		{"other order", `{"payloadType":"x","payload":"","signatures":[]}`, manifest.CodeFormat},
		{"escaped", broken(`"payloadType"`, `"payloadTyp\u0065"`), manifest.CodeFormat},
		{"no signature", good[:strings.Index(good, `[{`)] + "[]}", manifest.CodeFormat},
		{"null signatures", good[:strings.Index(good, `[{`)] + "null}", manifest.CodeFormat},
		{"two signatures", broken(`"}]}`, `"},{"keyid":"x","sig":""}]}`), manifest.CodeFormat},
		{"the same signature twice", strings.Replace(good, "]}", ","+good[strings.Index(good, `[{`)+1:len(good)-2]+"]}", 1), manifest.CodeFormat},
		{"payload that is not base64", broken(`{"payload":"`, `{"payload":"*`), manifest.CodeFormat},
		{"base64 with a newline", broken(`{"payload":"eyJf`, `{"payload":"ey\nJf`), manifest.CodeFormat},
		{"base64 for URLs", broken(sig, strings.NewReplacer("+", "-", "/", "_").Replace(sig)), manifest.CodeFormat},
		{"signature without padding", broken(sig, strings.TrimRight(sig, "=")), manifest.CodeFormat},
		{"loose last bits", broken(sig, loosen(sig)), manifest.CodeFormat},
		{"endless signature", broken(sig, strings.Repeat("AAAA", 100)), manifest.CodeFormat},
		{"endless key id", broken(`"keyid":"`, `"keyid":"`+strings.Repeat("a", 200)), manifest.CodeFormat},
		// The signature.
		{"empty signature", broken(sig, ""), manifest.CodeSignature},
		{"signature of zeros", broken(sig, base64.StdEncoding.EncodeToString(make([]byte, 64))), manifest.CodeSignature},
		{"changed payload", broken(base64.StdEncoding.EncodeToString([]byte(body)), base64.StdEncoding.EncodeToString([]byte(strings.Replace(body, `:1,`, `:2,`, 1)))), manifest.CodeSignature},
		{"changed payload type", broken("in-toto", "in-soto"), manifest.CodeSignature},
		{"key id of another", strings.Replace(seal(other, manifest.PayloadType, body), other.KeyID(), key.KeyID(), 1), manifest.CodeSignature},
		{"unknown key", seal(other, manifest.PayloadType, body), manifest.CodePublisher},
		{"rubbish under a bad signature is not looked at", broken(base64.StdEncoding.EncodeToString([]byte(body)), "AAAA"), manifest.CodeSignature},
		{"rubbish by an unknown key is not looked at", seal(other, manifest.PayloadType, "x"), manifest.CodePublisher},
		// The statement, signed as it is: a publisher's key is no reason to be lax.
		{"another payload type", seal(key, "application/json", body), manifest.CodeFormat},
		{"rubbish signed", seal(key, manifest.PayloadType, "x"), manifest.CodeFormat},
		{"deep statement", seal(key, manifest.PayloadType, strings.Repeat("[", 10_001)), manifest.CodeFormat},
		{"statement with a newline", seal(key, manifest.PayloadType, body+"\n"), manifest.CodeFormat},
		{"statement v0.1", bent("Statement/v1", "Statement/v0.1"), manifest.CodeFormat},
		{"another predicate", bent("https://caisson.run/release/v1", "https://slsa.dev/provenance/v1"), manifest.CodeFormat},
		{"unknown field", bent(`"predicate":{`, `"predicate":{"x":1,`), manifest.CodeFormat},
		{"duplicate number", bent(`"number":1,`, `"number":9,"number":1,`), manifest.CodeFormat},
		{"no subject", bent(`[{"name":"a","digest":{"sha256":"`+anyDigest+`"}}]`, `[]`), manifest.CodeFormat},
		{"two subjects", bent(`"subject":[`, `"subject":[{"name":"b","digest":{"sha256":"`+anyDigest+`"}},`), manifest.CodeFormat},
		{"a second subject", bent(`"}}],"predicateType"`, `"}},{"name":"b","digest":{"sha256":"`+anyDigest+`"}}],"predicateType"`), manifest.CodeFormat},
		{"two digests", bent(`"digest":{`, `"digest":{"sha1":"00",`), manifest.CodeFormat},
		{"no digest", bent(`"digest":{"sha256":"`+anyDigest+`"}`, `"digest":{}`), manifest.CodeFormat},
		{"digest of another kind", bent(`"sha256"`, `"sha512"`), manifest.CodeFormat},
		{"digest of zeros", bent(anyDigest, strings.Repeat("0", 64)), manifest.CodeFormat},
		{"digest in capitals", bent(anyDigest, strings.ToUpper(anyDigest)), manifest.CodeFormat},
		{"digest too short", bent(anyDigest, anyDigest[2:]), manifest.CodeFormat},
		{"digest that is none", bent(anyDigest, strings.Repeat("zz", 32)), manifest.CodeFormat},
		{"number 0", bent(`"number":1`, `"number":0`), manifest.CodeFormat},
		{"number -1", bent(`"number":1`, `"number":-1`), manifest.CodeFormat},
		{"number 1.0", bent(`"number":1`, `"number":1.0`), manifest.CodeFormat},
		{"number 1e999", bent(`"number":1`, `"number":1e999`), manifest.CodeFormat},
		{"number in quotes", bent(`"number":1`, `"number":"1"`), manifest.CodeFormat},
		{"number above the maximum", bent(`"number":1`, `"number":9007199254740992`), manifest.CodeFormat},
		{"number that overflows", bent(`"number":1`, `"number":18446744073709551616`), manifest.CodeFormat},
		{"subject of another task", bent(`"name":"a"`, `"name":"b"`), manifest.CodeFormat},
		{"faulty manifest", bent(`module = \"a.wasm\"`, `modul = \"a.wasm\"`), manifest.CodeFormat},
		{"not UTF-8", bent(`task = `, "# \xff\\ntask = "), manifest.CodeFormat},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r, err := manifest.OpenRelease([]byte(c.release), &policy{key: key})
			var refused *manifest.ReleaseError
			if !errors.As(err, &refused) || refused.Code() != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if len(c.release) > manifest.ReleaseSizeMax && !strings.Contains(err.Error(), "more than 196608") {
				t.Errorf("it was read: %v", err)
			}
			if r.Number() != 0 || !r.Digest().IsZero() {
				t.Error("a refusal came with a release")
			}
		})
	}
}

// loosen sets a bit of base64 that no byte holds: a second spelling of the same bytes.
func loosen(sig string) string {
	b := []byte(sig)
	i := strings.IndexByte(sig, '=') - 1
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	b[i] = digits[strings.IndexByte(digits, b[i])|1]
	return string(b)
}

func TestPublishers(t *testing.T) {
	key := testKey(t)
	b := golden(t, "release.json")
	tests := []struct {
		name string
		p    policy
		code string
	}{
		{"may publish", policy{key: key, prefix: "image."}, ""},
		{"publisher of another namespace", policy{key: key, prefix: "csv."}, manifest.CodePublisher},
		{"revoked", policy{key: key, prefix: "image.", revoked: true}, manifest.CodePublisher},
	}
	for _, c := range tests {
		_, err := manifest.OpenRelease(b, &c.p)
		var refused *manifest.ReleaseError
		if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &refused) || refused.Code() != c.code) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.p.verified != 1 {
			t.Errorf("%s: asked %d times", c.name, c.p.verified)
		}
	}
}

// Truncated anywhere, or with any one bit flipped, it is refused.
func TestReleaseMalleability(t *testing.T) {
	key, b := testKey(t), golden(t, "release.json")
	p := &policy{key: key}
	for i := range b {
		if _, err := manifest.OpenRelease(b[:i], p); err == nil {
			t.Fatalf("cut at %d it opens", i)
		}
		for bit := range 8 {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << bit
			if _, err := manifest.OpenRelease(flipped, p); err == nil {
				t.Fatalf("with bit %d of byte %d flipped it opens", bit, i)
			}
		}
	}
}

func TestBindRefuses(t *testing.T) {
	module := golden(t, "module.wasm")
	r, err := manifest.OpenRelease(golden(t, "release.json"), &policy{key: testKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	var refused *manifest.ReleaseError
	for name, bad := range map[string][]byte{"changed": append(bytes.Clone(module), 0), "empty": {}, "nil": nil} {
		if bound, err := r.Bind(bad); !errors.As(err, &refused) || refused.Code() != manifest.CodeDigest || bound.Module() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (manifest.Release{}).Bind(nil); !errors.As(err, &refused) || refused.Code() != manifest.CodeDigest {
		t.Errorf("the zero release binds: %v", err)
	}
}

// TestBindAs: a release takes over the bytes of one of the same module, and of no other.
func TestBindAs(t *testing.T) {
	module := golden(t, "module.wasm")
	r, err := manifest.OpenRelease(golden(t, "release.json"), &policy{key: testKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := r.Bind(module)
	if err != nil {
		t.Fatal(err)
	}
	if again, ok := r.BindAs(bound); !ok || again.Digest() != r.Digest() || &again.Module()[0] != &module[0] {
		t.Errorf("the same release: %t", ok)
	}
	var zero manifest.Release
	for name, ok := range map[string]bool{
		"nothing bound": bindsAs(r, manifest.Bound{}), "another module": bindsAs(zero, bound), "nothing at all": bindsAs(zero, manifest.Bound{}), "a release alone": bindsAs(r, manifest.Bound{Release: r}),
	} {
		if ok {
			t.Errorf("%s: it binds", name)
		}
	}
}

func bindsAs(r manifest.Release, b manifest.Bound) bool {
	bound, ok := r.BindAs(b)
	return ok || bound.Module() != nil
}

func TestSignReleaseRefuses(t *testing.T) {
	key := testKey(t)
	m, err := manifest.Parse("t", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	renamed, unparsed := m, m
	renamed.Task, unparsed.Text = "b", "x"
	tests := []struct {
		name   string
		m      manifest.Manifest
		module []byte
		number uint64
	}{
		{"number 0", m, []byte("x"), 0},
		{"number too large", m, []byte("x"), manifest.NumberMax + 1},
		{"no module", m, nil, 1},
		{"module too large", m, make([]byte, manifest.ModuleSizeMax+1), 1},
		{"task changed after parsing", renamed, []byte("x"), 1},
		{"text that is no manifest", unparsed, []byte("x"), 1},
		{"no manifest", manifest.Manifest{}, []byte("x"), 1},
	}
	var refused *manifest.ReleaseError
	for _, c := range tests {
		if b, err := manifest.SignRelease(c.m, c.module, c.number, key); !errors.As(err, &refused) || refused.Code() != manifest.CodeFormat || b != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The largest manifest, all of it characters that JSON writes in twice their bytes, still makes a
// release that opens.
func TestLargestManifestFits(t *testing.T) {
	key := testKey(t)
	text := least + "#"
	text += strings.Repeat("\t", manifest.ManifestSizeMax-len(text))
	m, err := manifest.Parse("t", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := manifest.SignRelease(m, []byte("x"), 1, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.OpenRelease(b, &policy{key: key}); err != nil {
		t.Errorf("%d bytes: %v", len(b), err)
	}
}

func TestDigest(t *testing.T) {
	text := "sha256:" + anyDigest
	d, err := manifest.ParseDigest(text)
	if err != nil || d.String() != text || d.IsZero() {
		t.Errorf("got %s, %v", d, err)
	}
	if b, err := d.MarshalText(); string(b) != text || err != nil {
		t.Errorf("got %s, %v", b, err)
	}
	if (manifest.Digest{}).String() != "" || !(manifest.Digest{}).IsZero() {
		t.Error("the zero digest is something")
	}
	for _, bad := range []string{"", anyDigest, "sha256:", "sha256:" + anyDigest[1:], "sha256:" + anyDigest + "0", "sha512:" + anyDigest, "SHA256:" + anyDigest,
		"sha256:" + strings.ToUpper(anyDigest), "sha256:" + strings.Repeat("g", 64), " sha256:" + anyDigest} {
		if d, err := manifest.ParseDigest(bad); err == nil {
			t.Errorf("%q reads as %s", bad, d)
		}
	}
}

// anyone accepts every signature, so that fuzzing reaches the statement.
type anyone struct{}

func (anyone) VerifyRelease(string, string, []byte, []byte) (string, error) { return "anyone", nil }
func (anyone) MayPublish(string, string) bool                               { return true }

func FuzzOpenRelease(f *testing.F) {
	key := testKey(f)
	f.Add(golden(f, "release.json"))
	f.Add([]byte(seal(key, manifest.PayloadType, strings.Replace(statement, "DIGEST", anyDigest, 1))))
	f.Add([]byte(seal(key, "application/json", "{}")))
	f.Add([]byte(`{"payload":"","payloadType":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := manifest.OpenRelease(b, anyone{})
		if err != nil {
			var refused *manifest.ReleaseError
			if !errors.As(err, &refused) || refused.Code() != manifest.CodeFormat {
				t.Fatalf("%T %v", err, err)
			}
		} else if r.Number() < 1 || r.Digest().IsZero() || r.Manifest().Task == "" {
			t.Errorf("opened %+v", r)
		}
		// Nothing the fuzzer makes carries the key's signature, but for the seeds.
		if r, err := manifest.OpenRelease(b, &policy{key: key}); err == nil && r.Manifest().Task != "image.thumbnail" && r.Manifest().Task != "a" {
			t.Errorf("forged: %+v", r)
		}
	})
}

// FuzzStatement reaches deeper: the body is the fuzzer's, the envelope around it is good.
func FuzzStatement(f *testing.F) {
	f.Add(strings.Replace(statement, "DIGEST", anyDigest, 1))
	f.Add(`{"_type":"https://in-toto.io/Statement/v1","subject":null,"predicateType":"https://caisson.run/release/v1","predicate":{"number":1,"manifest":""}}`)
	f.Fuzz(func(t *testing.T, body string) {
		b, err := json.Marshal(map[string]any{
			"payload": []byte(body), "payloadType": manifest.PayloadType, "signatures": []any{map[string]any{"keyid": "k", "sig": []byte("s")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := manifest.OpenRelease(b, anyone{})
		if err != nil {
			return
		}
		// What opens says one thing: written again from its parts it is the same bytes.
		again, err := manifest.Parse("task.toml", []byte(r.Manifest().Text))
		if err != nil {
			t.Fatal(err)
		}
		name, _ := json.Marshal(again.Task)
		want := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":%s,"digest":{"sha256":"%s"}}],"predicateType":"https://caisson.run/release/v1","predicate":{"number":%d,"manifest":`,
			name, strings.TrimPrefix(r.Digest().String(), "sha256:"), r.Number())
		if !strings.HasPrefix(body, want) {
			t.Errorf("%q opened as %q", body, want)
		}
	})
}
