package wasm

import "crypto/sha256"

// sectionHollow is the custom section of a hollow module that says which code it stands for.
const sectionHollow = "caisson:code"

// Hollow gives code, which Instrument wrote, without its code: every body is one unreachable, and a custom section holds the SHA-256 of code, so that no two
// are hollow alike. All that an engine needs to know of a module beside its code is still there. It is for those that have the machine code already,
// and need not read and validate again what it was made from.
func Hollow(code []byte) []byte {
	const body = "\x03\x00\x00\x0b" // three bytes: no locals, unreachable, end
	r := reader{code: code}
	out := append([]byte(nil), r.take(headerSize)...)
	for r.left() > 0 {
		id := r.byte()
		content := r.take(int(r.u32()))
		if id == sectionCode {
			bodies := reader{code: content}
			n := bodies.u32()
			content = appendU32(nil, n)
			for range n {
				content = append(content, body...)
			}
		}
		out = append(appendU32(append(out, id), uint32(len(content))), content...)
	}
	if r.err != nil {
		panic("internal error: hollow: " + r.err.Error()) // it is our own writing
	}
	sum := sha256.Sum256(code)
	content := append(appendU32(nil, uint32(len(sectionHollow))), sectionHollow...)
	content = append(content, sum[:]...)
	return append(appendU32(append(out, sectionCustom), uint32(len(content))), content...)
}
