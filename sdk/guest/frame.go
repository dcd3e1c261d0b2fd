package guest

import (
	"encoding/binary"

	"github.com/caisson-run/caisson/host/abi"
)

// frame encodes fields as docs/reference/task-contract.md says: each is its length as u32 in little-endian order, then
// its bytes.
// Errors: ErrTooLarge when the frame is above abi.RequestSizeMax or abi.FieldsMax, before anything is allocated.
func frame(fields ...[]byte) ([]byte, error) {
	size := 0
	for _, f := range fields {
		if len(f) > abi.RequestSizeMax {
			return nil, ErrTooLarge
		}
		size += 4 + len(f)
	}
	if size > abi.RequestSizeMax || len(fields) > abi.FieldsMax {
		return nil, ErrTooLarge
	}
	out := make([]byte, 0, size)
	for _, f := range fields {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out, nil
}

// unframe decodes what frame encodes. The fields share b's bytes.
// Errors: ErrInvalid when a length reaches past the end or there are more than abi.FieldsMax fields.
func unframe(b []byte) ([][]byte, error) {
	var fields [][]byte
	for len(b) > 0 {
		if len(b) < 4 || len(fields) == abi.FieldsMax {
			return nil, ErrInvalid
		}
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(size) > uint64(len(b)) {
			return nil, ErrInvalid
		}
		fields = append(fields, b[:size:size])
		b = b[size:]
	}
	return fields, nil
}
