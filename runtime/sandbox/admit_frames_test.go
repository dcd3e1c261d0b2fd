package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	goruntime "runtime"
	"strings"
	"testing"
	"time"
)

// allocated is how many bytes f allocates, with what else this process does meanwhile.
func allocated(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func sized(kind byte, payload string) string {
	return string(binary.LittleEndian.AppendUint64([]byte{kind}, uint64(len(payload)))) + payload
}

// TestAnswers: whatever a child says, the worker gets an artifact's bytes, a refusal, or an error, and allocates by what arrives.
func TestAnswers(t *testing.T) {
	refusal := string(encodeRefusal(&AdmissionError{code: "module.shape", Text: "no exports"}))
	huge := strings.Repeat("\xff", 8)
	tests := []struct {
		name, in string
		want     error // nil: a refusal or payload
		refusal  string
		payload  string
	}{
		{"artifact", admitHello + sized('A', "payload") + admitEnd, nil, "", "payload"},
		{"large artifact", admitHello + sized('A', strings.Repeat("x", 3*readStep+1)) + admitEnd, nil, "", strings.Repeat("x", 3*readStep+1)},
		{"refusal", admitHello + sized('R', refusal) + admitEnd, nil, "module.shape", ""},
		{"nothing", "", errNoHello, "", ""},
		{"another program", "usage: sh [options]\n and much more", errNoHello, "", ""},
		{"half a hello", admitHello[:7], errNoHello, "", ""},
		{"hello only", admitHello, errAnswer, "", ""},
		{"unknown kind", admitHello + sized('X', "payload") + admitEnd, errAnswer, "", ""},
		{"no length", admitHello + "A123", errAnswer, "", ""},
		{"huge length", admitHello + "A" + huge + "x", errAnswer, "", ""},
		{"length of the most", admitHello + "A" + string(binary.LittleEndian.AppendUint64(nil, artifactSizeMax)) + "x", errAnswer, "", ""},
		{"huge refusal", admitHello + sized('R', strings.Repeat("x", refusalSizeMax+1)) + admitEnd, errAnswer, "", ""},
		{"cut short", admitHello + sized('A', "payload")[:12], errAnswer, "", ""},
		{"no end", admitHello + sized('A', "payload"), errAnswer, "", ""},
		{"another end", admitHello + sized('A', "payload") + "END\n", errAnswer, "", ""},
		{"empty refusal", admitHello + sized('R', "") + admitEnd, errAnswer, "", ""},
		{"refusal cut short", admitHello + sized('R', "\xffmodule.shape") + admitEnd, errAnswer, "", ""},
		{"refusal of the longest code", admitHello + sized('R', strings.Repeat("\xff", 300)) + admitEnd, errAnswer, "", ""},
		{"foreign code", admitHello + sized('R', "\x0bother.thing") + admitEnd, errAnswer, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			var err error
			if grown := allocated(func() { got, err = readAnswer(strings.NewReader(tt.in)) }); grown > 1<<20 {
				t.Errorf("%d bytes allocated", grown)
			}
			var refusal *AdmissionError
			switch {
			case tt.want != nil:
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			case tt.refusal != "":
				if !errors.As(err, &refusal) || refusal.code != tt.refusal || refusal.Text != "no exports" {
					t.Errorf("%v", err)
				}
			case err != nil || string(got) != tt.payload:
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestRequestRoundTrip(t *testing.T) {
	want := &admitRequest{limits: admitLimits{memory: 5, cpu: time.Second}, dir: "/some/where", code: []byte("module")}
	limited := false
	got, err := readRequest(bytes.NewReader(want.encode()), func(l admitLimits) error {
		limited = l == want.limits
		return nil
	})
	if err != nil || !limited || got.limits != want.limits || got.dir != want.dir || string(got.code) != "module" {
		t.Errorf("%+v, %v, limited %v", got, err, limited)
	}
	if _, err := readRequest(bytes.NewReader(want.encode()), func(admitLimits) error { return io.ErrNoProgress }); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a process without limits goes on: %v", err)
	}
}

// FuzzAnswer: what a child says neither panics the worker nor makes it allocate by a length alone.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(admitHello + sized('A', "payload") + admitEnd))
	f.Add([]byte(admitHello + sized('R', "\x0cmodule.shapeno exports") + admitEnd))
	f.Add([]byte(admitHello + sized('R', strings.Repeat("\xff", 300)) + admitEnd))
	f.Add([]byte(admitHello + "A\xff\xff\xff\x1f\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got []byte
		var err error
		if grown := allocated(func() { got, err = readAnswer(bytes.NewReader(data)) }); grown > uint64(8*len(data)+1<<20) {
			t.Errorf("%d bytes allocated for %d", grown, len(data))
		}
		if err == nil && !bytes.HasPrefix(data, []byte(admitHello+sized('A', string(got))+admitEnd)) {
			t.Errorf("%x became %x", data, got)
		}
	})
}

// FuzzRequest is the same for the child.
func FuzzRequest(f *testing.F) {
	f.Add((&admitRequest{limits: admitLimits{memory: 5, cpu: time.Second}, dir: "/some/where", code: []byte("module")}).encode())
	f.Add([]byte(admitHello + strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got *admitRequest
		var err error
		if grown := allocated(func() { got, err = readRequest(bytes.NewReader(data), func(admitLimits) error { return nil }) }); grown > uint64(8*len(data)+1<<20) {
			t.Errorf("%d bytes allocated for %d", grown, len(data))
		}
		if err == nil && !bytes.HasPrefix(data, got.encode()) {
			t.Errorf("%x became %x", data, got.encode())
		}
	})
}

// TestLimitsGrow: a larger module gets more, up to the most.
func TestLimitsGrow(t *testing.T) {
	for size, want := range map[int]admitLimits{
		0:       {admitMemory, admitCPU, admitWallFactor * admitCPU},
		3 << 20: {admitMemory + 3*admitMemoryPerMiB, admitCPU + 3*admitCPUPerMiB, admitWallFactor * (admitCPU + 3*admitCPUPerMiB)},
		1 << 30: {admitMemoryMax, admitCPUMax, admitWallFactor * admitCPUMax},
	} {
		if got := limitsFor(size); got != want {
			t.Errorf("%d bytes: %+v, want %+v", size, got, want)
		}
	}
}
