package guest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/host/abi"
)

func TestFrameWire(t *testing.T) {
	// The wire, as docs/reference/task-contract.md gives it.
	wire := strings.Join([]string{
		"05000000", hex.EncodeToString([]byte("retry")), // kind, 5 bytes
		"04000000", hex.EncodeToString([]byte("1500")), // after, 4 bytes
		"00000000", // an empty message
	}, "")
	got, err := frame([]byte("retry"), []byte("1500"), nil)
	if err != nil || hex.EncodeToString(got) != wire {
		t.Errorf("got  %x, %v\nwant %s", got, err, wire)
	}
}

func TestFrameBounds(t *testing.T) {
	if _, err := frame(make([]byte, abi.RequestSizeMax-4)); err != nil {
		t.Errorf("largest frame: %v", err)
	}
	for name, fields := range map[string][][]byte{
		"one byte more": {make([]byte, abi.RequestSizeMax-3)},
		"one large":     {make([]byte, abi.RequestSizeMax+1)},
		"many fields":   make([][]byte, abi.FieldsMax+1),
	} {
		if _, err := frame(fields...); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnframeRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"half a length":    {1, 0, 0},
		"length past end":  {2, 0, 0, 0, 'a'},
		"length wraps":     {255, 255, 255, 255, 'a'},
		"bytes left over":  {1, 0, 0, 0, 'a', 0},
		"too many fields":  make([]byte, 4*(abi.FieldsMax+1)),
		"length and no 'a": {1, 0, 0, 0},
	} {
		if fields, err := unframe(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %q, %v", name, fields, err)
		}
	}
}

// FuzzUnframe holds unframe to this: what it takes, frame prints as the same bytes.
func FuzzUnframe(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xffa"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := unframe(b)
		if err != nil {
			return
		}
		again, err := frame(fields...)
		if err != nil && len(b) <= abi.RequestSizeMax || err == nil && !bytes.Equal(again, b) {
			t.Errorf("%x came back as %x, %v", b, again, err)
		}
	})
}
