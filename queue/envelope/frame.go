package envelope

const (
	// The payload types under a signature. A change of a body is another type.
	taskType   = "application/vnd.caisson.task.v1+msgpack"
	stepType   = "application/vnd.caisson.step.v1+msgpack"
	resultType = "application/vnd.caisson.result.v1+msgpack"
	orderType  = "application/vnd.caisson.order.v1+msgpack"

	frameArity     = 4
	signatureArity = 3
	pathArity      = 3
	frameSizeExtra = 192           // bytes of a frame without body and hashes, at most
	hashSize       = 2 + hashBytes // bytes of a hash in a frame
)

// A frame is what is around a body. Its slices are parts of the message it was read from.
type frame struct {
	typ  string
	body []byte
	key  KeyID
	sig  []byte
	path path // zero: the message was signed alone
}

// openFrame reads the frame of a message, which must be of wantType or orType ("" for none). Nothing in it is verified yet.
// Errors, final: *FormatError, *VersionError, *TypeError.
func openFrame(msg []byte, wantType, orType string) (frame, error) {
	if err := walk("frame", msg); err != nil {
		return frame{}, err
	}
	d := newDecoder("frame", msg)
	defer d.close()
	arity := d.array("frame")
	if d.err == nil && arity < 1 {
		d.fail("frame", "not an array with a version")
	}
	// The version comes first and is judged first, since it says what the rest may be.
	if version := d.int("version"); d.err == nil && version != frameVersion {
		return frame{}, &VersionError{version}
	}
	if d.err == nil && arity != frameArity {
		d.fail("frame", "wrong number of values")
	}
	var f frame
	switch typ := d.str("type", len(msg)); {
	case d.err != nil:
	case typ == wantType:
		f.typ = wantType
	case typ == orType && orType != "":
		f.typ = orType
	default:
		return frame{}, &TypeError{wantType}
	}
	f.body = d.view("body")
	d.arrayOf("signatures", 1)
	d.arrayOf("signature", signatureArity)
	d.fixed("key id", f.key[:], false)
	f.sig = d.view("signature")
	if d.err == nil && len(f.sig) != 64 {
		d.fail("signature", "not 64 bytes")
	}
	f.path = readPath(d)
	if d.err != nil {
		return frame{}, d.err
	}
	// The library reads some values from more than one form (a string as bytes, nil as 0); only one is the encoding.
	e := newMatcher(msg)
	f.write(e)
	if !e.matched() {
		return frame{}, &FormatError{"frame", -1, "not the encoding of what it says"}
	}
	return f, nil
}

// encode returns the one encoding of f.
func (f *frame) encode() []byte {
	e := newEncoder(len(f.body) + frameSizeExtra + f.path.n*hashSize)
	f.write(e)
	return e.close()
}

func (f *frame) write(e *encoder) {
	e.array(frameArity)
	e.int(frameVersion)
	e.str(f.typ)
	e.bytes(f.body)
	e.array(1)
	e.array(signatureArity)
	e.id(f.key[:])
	e.bytes(f.sig)
	f.path.write(e)
}

// seal signs body, not in a batch, and returns the message around it.
// Errors, final: *PurposeError, *SizeError.
func seal(what, typ string, body []byte, key PrivateKey, want Purpose, sizeMax int) ([]byte, error) {
	if err := checkPurpose(key, want); err != nil {
		return nil, err
	}
	f := frame{typ: typ, body: body, key: key.Public().ID(), sig: key.Sign(typ, body)}
	return f.bounded(what, sizeMax)
}

func checkPurpose(key PrivateKey, want Purpose) error {
	if key.IsZero() || key.Purpose() != want {
		return &PurposeError{key.Public().ID(), key.Purpose(), want}
	}
	return nil
}

// bounded returns the message unless it is too long.
func (f *frame) bounded(what string, sizeMax int) ([]byte, error) {
	msg := f.encode()
	if len(msg) > sizeMax {
		return nil, &SizeError{what, len(msg), sizeMax}
	}
	return msg, nil
}

// verify finds the key that f names, which must be for the purpose want or the purpose or ("" for none), and verifies the signature
// with it. Only after this may the body be parsed. The key is looked up and checked each time; roots, which may be nil, saves only
// the verification of a root whose signature held before.
// Errors, final: *UnknownKeyError, *PurposeError, *SignatureError.
func (f *frame) verify(find func(KeyID) (PublicKey, bool), roots *Roots, want, or Purpose) (PublicKey, error) {
	key, ok := find(f.key)
	// A keyring that returns another key than was asked for is treated as one that does not know the key.
	if !ok || key.IsZero() || key.ID() != f.key {
		return PublicKey{}, &UnknownKeyError{f.key}
	}
	if p := key.Purpose(); p != want && (or == "" || p != or) {
		return PublicKey{}, &PurposeError{f.key, p, want}
	}
	if !f.holds(key, roots) {
		return PublicKey{}, &SignatureError{f.key}
	}
	return key, nil
}

// holds reports whether the signature is key's, over the body or over the root of the tree that the body is in.
func (f *frame) holds(key PublicKey, roots *Roots) bool {
	if f.path.isZero() {
		return key.Verify(f.typ, f.body, f.sig)
	}
	root, ok := f.path.root(leafHash(f.typ, f.body))
	if !ok {
		return false
	}
	seen := signedRoot{key: key, size: f.path.size, root: root, sig: [64]byte(f.sig)}
	if roots.has(seen) {
		return true
	}
	if !key.Verify(batchType, rootBody(f.path.size, root), f.sig) {
		return false
	}
	roots.add(seen)
	return true
}
