package host

import (
	"encoding/binary"

	"github.com/caisson-run/caisson/host/abi"
)

// readFrame splits a frame into its fields, which share its bytes.
// ok is false when a length points past the end, bytes are left over, or there are more than abi.FieldsMax fields.
func readFrame(frame []byte) (fields [][]byte, ok bool) {
	for len(frame) > 0 {
		if len(frame) < 4 || len(fields) == abi.FieldsMax {
			return nil, false
		}
		n := uint64(binary.LittleEndian.Uint32(frame))
		frame = frame[4:]
		if n > uint64(len(frame)) {
			return nil, false
		}
		fields = append(fields, frame[:n:n])
		frame = frame[n:]
	}
	return fields, true
}

// appendFrame writes fields as a frame after dst. A field is shorter than 4 GiB by the bounds of the acts.
func appendFrame(dst []byte, fields [][]byte) []byte {
	for _, f := range fields {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f)))
		dst = append(dst, f...)
	}
	return dst
}

// frameSize is how many bytes appendFrame adds.
func frameSize(fields [][]byte) int {
	n := 4 * len(fields)
	for _, f := range fields {
		n += len(f)
	}
	return n
}
