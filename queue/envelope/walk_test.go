package envelope_test

import (
	"bytes"
	"encoding/hex"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// canonical is what walk must say, by the independent reader of mini_test.go.
func canonical(b []byte) bool {
	v, err := parseAll(b)
	return err == nil && bytes.Equal(v.bytes(), b) && v.depth() <= envelope.DepthMax
}

func TestWalk(t *testing.T) {
	rows := []struct {
		name, hex string
		ok        bool
	}{
		{"nil", "c0", true},
		{"zero", "00", true},
		{"largest of one byte", "7f", true},
		{"128", "cc 80", true},
		{"256", "cd 0100", true},
		{"65536", "ce 00010000", true},
		{"2^32", "cf 0000000100000000", true},
		{"2^63-1", "cf 7fffffffffffffff", true},
		{"empty string", "a0", true},
		{"string", "a2 6869", true},
		{"empty bytes", "c4 00", true},
		{"empty array", "90", true},
		{"five deep", "91 91 91 91 90", true},
		{"sixteen", "dc 0010 00000000000000000000000000000000", true},

		{"nothing", "", false},
		{"two values", "00 00", false},
		{"byte after array", "91 00 00", false},
		{"six deep", "91 91 91 91 91 90", false},
		{"2^63", "cf 8000000000000000", false},
		{"2^64-1", "cf ffffffffffffffff", false},
		{"127 in two bytes", "cc 7f", false},
		{"255 in three bytes", "cd 00ff", false},
		{"65535 in five bytes", "ce 0000ffff", false},
		{"2^32-1 in nine bytes", "cf 00000000ffffffff", false},
		{"short string as str8", "d9 02 6869", false},
		{"short string as str16", "da 0002 6869", false},
		{"short string as str32", "db 00000002 6869", false},
		{"short bytes as bin16", "c5 0002 6869", false},
		{"short bytes as bin32", "c6 00000002 6869", false},
		{"short array as array16", "dc 0001 00", false},
		{"short array as array32", "dd 00000001 00", false},
		{"negative", "ff", false},
		{"int8", "d0 80", false},
		{"int64", "d3 0000000000000001", false},
		{"true", "c3", false},
		{"false", "c2", false},
		{"never used", "c1", false},
		{"float32", "ca 00000000", false},
		{"float64", "cb 0000000000000000", false},
		{"empty map", "80", false},
		{"map16", "de 0000", false},
		{"extension", "d4 01 00", false},
		{"time", "d6 ff 00000000", false},
		{"not UTF-8", "a1 ff", false},
		{"UTF-8 cut off", "a2 e2 82", false},
		{"surrogate", "a3 ed a0 80", false},
		{"string too long", "a3 6869", false},
		{"array too long", "92 00", false},
		{"head cut off", "cd 01", false},
		{"array32 bomb", "dd ffffffff", false},
		{"map32 bomb", "df ffffffff", false},
		{"bin32 bomb", "c6 ffffffff", false},
		{"str32 bomb", "db ffffffff", false},
		{"ext32 bomb", "c9 ffffffff", false},
		{"count of all that is left", "93 92 00", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(row.hex, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			err = envelope.Walk("body", b)
			if (err == nil) != row.ok || !row.ok && code(err) != envelope.CodeEncoding {
				t.Errorf("walk says %v", err)
			}
			if canonical(b) != row.ok {
				t.Errorf("the independent reader says %v", canonical(b))
			}
		})
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestWalkDoesNotGrow(t *testing.T) {
	nested := bytes.Repeat([]byte{0x91}, 1_000_000)
	flat := append([]byte{0xdd, 0, 0x0f, 0x42, 0x40}, make([]byte, 1_000_000)...)
	var err1, err2 error
	if n := allocated(func() { err1, err2 = envelope.Walk("frame", nested), envelope.Walk("frame", flat) }); n > 4<<10 {
		t.Errorf("walk allocated %d bytes", n)
	}
	if code(err1) != envelope.CodeEncoding || err2 != nil {
		t.Errorf("walk says %v and %v", err1, err2)
	}
}

// FuzzWalk: walk passes exactly what the independent reader can read and print again as the same bytes.
func FuzzWalk(f *testing.F) {
	msg := mustSign(f, fullTask(), submitKey)
	f.Add(msg)
	f.Add(bodyOf(f, msg).bytes())
	f.Add(bodyOf(f, mustSignResult(f, fullResult(), workerKey)).bytes())
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xdc, 0x00, 0x01, 0x00})
	f.Add([]byte{0x91, 0x91, 0x91, 0x91, 0x90})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return // the independent reader recurses
		}
		if err := envelope.Walk("body", b); (err == nil) != canonical(b) {
			t.Errorf("%x: walk says %v, the independent reader %v", b, err, canonical(b))
		}
	})
}
