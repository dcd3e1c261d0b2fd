package envelope

import "bytes"

const (
	// taskType and resultType are the payload types under the signature. A change of the body is another type.
	taskType   = "application/vnd.caisson.task.v1+msgpack"
	resultType = "application/vnd.caisson.result.v1+msgpack"

	frameArity     = 4
	signatureArity = 3
	frameSizeExtra = 192 // bytes of a frame without its body, at most
)

// A frame is what is around a body. Its slices are parts of the message it was read from.
type frame struct {
	typ  string
	body []byte
	key  KeyID
	sig  []byte
}

// openFrame reads a message without trusting it: everything in it is still a claim.
// Errors, final: *FormatError, *VersionError, *TypeError, *UnsupportedError.
func openFrame(msg []byte, wantType string) (frame, error) {
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
	if f.typ = d.str("type", len(msg)); d.err == nil && f.typ != wantType {
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
	if d.err != nil {
		return frame{}, d.err
	}
	if msg[d.at()] != 0xc0 {
		return frame{}, &UnsupportedError{"batch signature"}
	}
	// The library reads some values from more than one form (a string as bytes, nil as 0); only one is the encoding.
	if !bytes.Equal(f.encode(), msg) {
		return frame{}, &FormatError{"frame", -1, "not the encoding of what it says"}
	}
	return f, nil
}

// encode returns the only bytes that f has.
func (f frame) encode() []byte {
	e := newEncoder(len(f.body) + frameSizeExtra)
	e.array(frameArity)
	e.int(frameVersion)
	e.str(f.typ)
	e.bytes(f.body)
	e.array(1)
	e.array(signatureArity)
	e.bytes(f.key[:])
	e.bytes(f.sig)
	e.nil()
	return e.close()
}

// seal signs body and returns the message around it.
// Errors, final: *PurposeError, *SizeError.
func seal(what, typ string, body []byte, key PrivateKey, want Purpose, sizeMax int) ([]byte, error) {
	if key.IsZero() || key.Purpose() != want {
		return nil, &PurposeError{key.Public().ID(), key.Purpose(), want}
	}
	msg := frame{typ, body, key.Public().ID(), key.Sign(typ, body)}.encode()
	if len(msg) > sizeMax {
		return nil, &SizeError{what, len(msg), sizeMax}
	}
	return msg, nil
}

// verify finds the key that f names and holds the signature against it. Only after this may the body be parsed.
// Errors, final: *UnknownKeyError, *PurposeError, *SignatureError.
func (f frame) verify(find func(KeyID) (PublicKey, bool), want Purpose) (PublicKey, error) {
	key, ok := find(f.key)
	// A keyring that answers with another key than was asked for is treated as one that does not know.
	if !ok || key.IsZero() || key.ID() != f.key {
		return PublicKey{}, &UnknownKeyError{f.key}
	}
	if key.Purpose() != want {
		return PublicKey{}, &PurposeError{f.key, key.Purpose(), want}
	}
	if !key.Verify(f.typ, f.body, f.sig) {
		return PublicKey{}, &SignatureError{f.key}
	}
	return key, nil
}
