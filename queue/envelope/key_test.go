package envelope_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

func TestKeyTextIsReadBack(t *testing.T) {
	for _, p := range envelope.Purposes() {
		key, err := envelope.GenerateKey(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		private, err := envelope.ParsePrivateKey(key.Text())
		if err != nil || private.Text() != key.Text() || private.Public() != key.Public() {
			t.Errorf("%s: private key was not read back: %v", p, err)
		}
		public, err := envelope.ParsePublicKey(key.Public().String())
		if err != nil || public != key.Public() || public.Purpose() != p {
			t.Errorf("%s: public key was not read back: %v", p, err)
		}
		id, err := envelope.ParseKeyID(public.ID().String())
		if err != nil || id != public.ID() {
			t.Errorf("%s: key id was not read back: %v", p, err)
		}
	}
}

// The texts of one key, fixed for ever. The public key is RFC 8032's for its first test seed.
func TestKeyGolden(t *testing.T) {
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	wantPublic := "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	key, err := envelope.GenerateKey(envelope.Submit, bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	const public = "caisson-submit-public-11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURpQPjlz"
	const secret = "CAISSON-SUBMIT-SECRET-nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A-AvWY"
	if key.Public().String() != public {
		t.Errorf("public key is %s", key.Public())
	}
	if key.Text() != secret {
		t.Errorf("secret key is %s", key.Text())
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(public, "caisson-submit-public-"))
	if err != nil || hex.EncodeToString(raw[:32]) != wantPublic {
		t.Errorf("public bytes are %x, %v", raw, err)
	}
	if got := key.Public().ID(); !bytes.Equal(got[:], miniKeyID("submit", raw[:32])) {
		t.Errorf("key id is %s", got)
	}
}

func TestPurposeIsPartOfAKey(t *testing.T) {
	submit, worker := testKey(envelope.Submit, 9), testKey(envelope.Worker, 9)
	if submit.Public() == worker.Public() || submit.Public().ID() == worker.Public().ID() {
		t.Error("one seed under two purposes is one key")
	}
	// Rewriting the purpose leaves a checksum that does not match.
	text := strings.Replace(submit.Public().String(), "submit", "worker", 1)
	if _, err := envelope.ParsePublicKey(text); code(err) != envelope.CodeKeyFormat {
		t.Errorf("a public key with another purpose written over: %v", err)
	}
	text = strings.Replace(submit.Text(), "SUBMIT", "WORKER", 1)
	if _, err := envelope.ParsePrivateKey(text); code(err) != envelope.CodeKeyFormat {
		t.Errorf("a secret key with another purpose written over: %v", err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	public, secret := submitKey.Public().String(), submitKey.Text()
	edits := map[string]func(string) string{
		"empty":             func(string) string { return "" },
		"prefix only":       func(s string) string { return s[:22] },
		"last gone":         func(s string) string { return s[:len(s)-1] },
		"one more":          func(s string) string { return s + "A" },
		"padding":           func(s string) string { return s + "=" },
		"newline after":     func(s string) string { return s + "\n" },
		"newline inside":    func(s string) string { return s[:30] + "\n" + s[31:] },
		"newline for two":   func(s string) string { return s[:30] + "\r\n" + s[32:] },
		"newlines for four": func(s string) string { return s[:30] + "\n\n\n\n" + s[34:] },
		"space before":      func(s string) string { return " " + s },
		"standard base64":   func(s string) string { return s[:40] + "+" + s[41:] },
		"31 bytes of key":   func(s string) string { return s[:22] + s[24:] },
		"other case":        func(s string) string { return strings.ToUpper(s[:22]) + strings.ToLower(s[22:]) },
		"twice":             func(s string) string { return s + s },
		"unknown purpose":   func(s string) string { return strings.NewReplacer("submit", "admin", "SUBMIT", "ADMIN").Replace(s) },
		"a megabyte":        func(s string) string { return s + strings.Repeat("A", 1<<20) },
		"NUL":               func(s string) string { return s[:25] + "\x00" + s[26:] },
		"letters swapped":   func(s string) string { return s[:25] + s[26:27] + s[25:26] + s[27:] },
		"checksum is zero":  func(s string) string { return s[:len(s)-5] + "AAAAA" },
	}
	for name, edit := range edits {
		if _, err := envelope.ParsePublicKey(edit(public)); code(err) != envelope.CodeKeyFormat {
			t.Errorf("public, %s: %v", name, err)
		}
		_, err := envelope.ParsePrivateKey(edit(secret))
		if code(err) != envelope.CodeKeyFormat {
			t.Errorf("secret, %s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret[26:36]) {
			t.Errorf("secret, %s: the error quotes it: %v", name, err)
		}
	}
	if _, err := envelope.ParsePublicKey(secret); code(err) != envelope.CodeKeyFormat || strings.Contains(err.Error(), secret[26:36]) {
		t.Errorf("a secret key as a public one: %v", err)
	}
	if _, err := envelope.ParsePrivateKey(public); code(err) != envelope.CodeKeyFormat {
		t.Errorf("a public key as a secret one: %v", err)
	}
}

// Every single wrong character is found.
func TestChecksumFindsTypos(t *testing.T) {
	for _, text := range []string{submitKey.Public().String(), submitKey.Text()} {
		for i := range text {
			for _, c := range []byte("Aa0-_") {
				typo := text[:i] + string(c) + text[i+1:]
				if typo == text {
					continue
				}
				if _, err := envelope.ParsePublicKey(typo); err == nil {
					t.Errorf("public key with %q at %d passes", c, i)
				}
				if _, err := envelope.ParsePrivateKey(typo); err == nil {
					t.Errorf("secret key with %q at %d passes", c, i)
				}
			}
		}
	}
}

// publicText writes any 32 bytes as a public key, with the right checksum, as the reference page says.
func publicText(key []byte) string {
	const prefix = "caisson-submit-public-"
	sum := envelope.DigestOf([]byte("caisson-key-checksum-v1:" + prefix + string(key)))
	return prefix + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(key), sum[:4]...))
}

func TestWeakPublicKeysAreRefused(t *testing.T) {
	if text := publicText([]byte(publicBytes(submitKey))); text != submitKey.Public().String() {
		t.Fatalf("this test writes %s", text)
	}
	weak := map[string]string{
		"all zero":                     "0000000000000000000000000000000000000000000000000000000000000000",
		"order 1, neutral element":     "0100000000000000000000000000000000000000000000000000000000000000",
		"order 1, sign set":            "0100000000000000000000000000000000000000000000000000000000000080",
		"order 2":                      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 2, sign set":            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"order 4, sign set":            "0000000000000000000000000000000000000000000000000000000000000080",
		"order 8, first":               "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"order 8, first, sign set":     "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"order 8, second":              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"order 8, second, sign set":    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"not canonical, p is zero":     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not canonical, p+1 is one":    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not canonical, p+1, sign set": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"not canonical, p+3, on curve": "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not canonical, largest":       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"y is 2, not on the curve":     "0200000000000000000000000000000000000000000000000000000000000000",
		"y is 7, not on the curve":     "0700000000000000000000000000000000000000000000000000000000000000",
	}
	for name, digits := range weak {
		key, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := envelope.ParsePublicKey(publicText(key)); code(err) != envelope.CodeKeyWeak {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What ParsePublicKey keeps out: under the neutral element this one signature holds for any message.
func TestSmallOrderKeysWouldVerifyAnything(t *testing.T) {
	neutral := append([]byte{1}, make([]byte, 31)...)
	sig := append(bytes.Clone(neutral), make([]byte, 32)...)
	if !ed25519.Verify(neutral, []byte("anything"), sig) {
		t.Error("crypto/ed25519 has learnt to refuse the neutral element: weakPoint may be simpler now")
	}
}

// About half of all 32 bytes are a point of the curve; every generated key is one.
func TestOnlyPointsOfTheCurvePass(t *testing.T) {
	passed := 0
	const n = 400
	for i := range n {
		sum := envelope.DigestOf([]byte{byte(i), byte(i >> 8)})
		if _, err := envelope.ParsePublicKey(publicText(sum[:])); err == nil {
			passed++
		} else if code(err) != envelope.CodeKeyWeak {
			t.Fatal(err)
		}
	}
	if passed < n*3/8 || passed > n*5/8 {
		t.Errorf("%d of %d random strings pass as keys", passed, n)
	}
	for range 50 {
		key, err := envelope.GenerateKey(envelope.Worker, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := envelope.ParsePublicKey(key.Public().String()); err != nil {
			t.Errorf("%s: %v", key.Public(), err)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	key := submitKey
	seedHex := strings.Repeat("01", 32)
	inside := struct {
		k envelope.PrivateKey
		p *envelope.PrivateKey
		l []envelope.PrivateKey
		m map[string]envelope.PrivateKey
	}{key, &key, []envelope.PrivateKey{key}, map[string]envelope.PrivateKey{"k": key}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p", "%o", "%b", "%c", "%U", "%e"} {
		for _, v := range []any{key, &key, inside, &inside, inside.l, inside.m, []any{key}, fmt.Errorf("with %v", key)} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, v := range []any{key, &key, map[string]any{"key": key}, []envelope.PrivateKey{key}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(b)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", key, "inside", inside)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", key, "inside", inside)
	fmt.Fprintln(&out, key.String(), key.GoString())
	got := out.String()
	secrets := map[string]string{
		"text":    strings.TrimPrefix(key.Text(), "CAISSON-SUBMIT-SECRET-")[:20],
		"hex":     seedHex[:16],
		"decimal": "1 1 1 1 1 1",
		"go":      "0x1, 0x1, 0x1",
		"raw":     "\x01\x01\x01\x01",
	}
	for form, secret := range secrets {
		if i := strings.Index(strings.ToLower(got), strings.ToLower(secret)); i >= 0 {
			t.Errorf("the secret is printed as %s: …%q…", form, got[max(0, i-60):min(len(got), i+60)])
		}
	}
	if !strings.Contains(got, key.Public().String()) {
		t.Error("what is printed does not say which key it is")
	}
}

func TestZeroKeys(t *testing.T) {
	var public envelope.PublicKey
	var private envelope.PrivateKey
	if public.Verify("t", nil, make([]byte, 64)) || public.String() != "" || !public.ID().IsZero() {
		t.Error("the zero public key does something")
	}
	if private.Sign("t", nil) != nil || private.Text() != "" || private.String() != "" || fmt.Sprint(private) != "" {
		t.Error("the zero private key does something")
	}
	if _, err := envelope.Sign(leastTask(), private); code(err) != envelope.CodeKeyPurpose {
		t.Errorf("signing with the zero key: %v", err)
	}
}

func TestGenerateKeyRefuses(t *testing.T) {
	if _, err := envelope.GenerateKey("admin", nil); code(err) != envelope.CodeKeyFormat {
		t.Errorf("unknown purpose: %v", err)
	}
	if _, err := envelope.GenerateKey(envelope.Submit, strings.NewReader("too short")); err == nil {
		t.Error("a key was made of nine random bytes")
	}
}

func TestVerifyTakesTheTypeIntoAccount(t *testing.T) {
	sig := submitKey.Sign("a", []byte("b"))
	public := submitKey.Public()
	if !public.Verify("a", []byte("b"), sig) {
		t.Error("a signature does not hold")
	}
	for name, ok := range map[string]bool{
		"other type":   public.Verify("A", []byte("b"), sig),
		"other body":   public.Verify("a", []byte("B"), sig),
		"bytes moved":  public.Verify("a b", nil, sig),
		"other key":    otherKey.Public().Verify("a", []byte("b"), sig),
		"no signature": public.Verify("a", []byte("b"), nil),
		"short":        public.Verify("a", []byte("b"), sig[:63]),
		"long":         public.Verify("a", []byte("b"), append(bytes.Clone(sig), 0)),
	} {
		if ok {
			t.Errorf("%s: the signature holds", name)
		}
	}
}

func TestCheckPrivateFile(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o600:                  "ok",
		0o400:                  "ok",
		0o640:                  envelope.CodeKeyFile,
		0o604:                  envelope.CodeKeyFile,
		0o620:                  envelope.CodeKeyFile,
		0o610:                  envelope.CodeKeyFile,
		0o777:                  envelope.CodeKeyFile,
		0o600 | fs.ModeDir:     envelope.CodeKeyFile,
		0o600 | fs.ModeSymlink: envelope.CodeKeyFile,
		0o600 | fs.ModeDevice:  envelope.CodeKeyFile,
	} {
		if got := code(envelope.CheckPrivateFile(mode)); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
	}
}

func TestIDsAsText(t *testing.T) {
	id, digest := envelope.NewMessageID(), envelope.DigestOf([]byte("x"))
	if id == envelope.NewMessageID() {
		t.Error("two message ids are equal")
	}
	in := struct {
		ID     envelope.MessageID
		Key    envelope.KeyID
		Digest envelope.Digest
		None   envelope.Digest
		Public envelope.PublicKey
	}{id, submitKey.Public().ID(), digest, envelope.Digest{}, submitKey.Public()}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := in
	out.ID, out.Key, out.Digest, out.Public = envelope.MessageID{}, envelope.KeyID{}, envelope.Digest{}, envelope.PublicKey{}
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s reads as %+v, %v", b, out, err)
	}
	hex32 := strings.Repeat("0a", 16)
	for _, text := range []string{"", "00", hex32 + "0", hex32[1:], strings.ToUpper(hex32), hex32[:31] + "g", hex32[:31] + "\n"} {
		_, err1 := envelope.ParseMessageID(text)
		_, err2 := envelope.ParseKeyID(text)
		_, err3 := envelope.ParseDigest("sha256:" + text + hex32)
		_, err4 := envelope.ParseDigest(text)
		if err := errors.Join(err1, err2, err3, err4); err1 == nil || err2 == nil || err3 == nil || err4 == nil || code(err) != envelope.CodeField {
			t.Errorf("%q passes: %v", text, err)
		}
	}
	if _, err := envelope.ParseDigest("sha256:" + strings.Repeat("0", 64)); err == nil {
		t.Error("a digest of zeros passes")
	}
}

func publicBytes(k envelope.PrivateKey) string {
	raw, err := base64.RawURLEncoding.DecodeString(k.Public().String()[len("caisson-submit-public-"):])
	if err != nil {
		panic(err)
	}
	return string(raw[:32])
}

// FuzzParseKey: no text makes a parser panic, and what parses prints as the same text, so a key has one text only.
func FuzzParseKey(f *testing.F) {
	for _, k := range []envelope.PrivateKey{submitKey, workerKey, publishKey, testKey(envelope.Operate, 7)} {
		f.Add(k.Public().String())
		f.Add(k.Text())
	}
	f.Add(publicText(append([]byte{1}, make([]byte, 31)...)))
	f.Add("caisson-submit-public-")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := envelope.ParsePublicKey(text); err == nil {
			if k.String() != text || k.IsZero() || k.ID().IsZero() {
				t.Errorf("%q prints as %q", text, k)
			}
		} else if c := code(err); c != envelope.CodeKeyFormat && c != envelope.CodeKeyWeak {
			t.Errorf("%q: %v", text, err)
		}
		if k, err := envelope.ParsePrivateKey(text); err == nil {
			if k.Text() != text {
				t.Errorf("%q prints as another text", text)
			}
			if !k.Public().Verify("t", []byte(text), k.Sign("t", []byte(text))) {
				t.Errorf("%q does not verify what it signs", text)
			}
		}
	})
}
