package host

import (
	"context"
	"strconv"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/tetratelabs/wazero/api"
)

// i32 and i64 make the tables of signatures short.
const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// caissonFunctions is the whole import module "caisson", in the order of abi.Imports. A capability call without an act in acts is known but not offered.
func caissonFunctions(acts []act) []function {
	plain := map[string]func(ctx context.Context, r *Run, p []uint64) abi.Code{
		abi.ResultWrite: func(_ context.Context, r *Run, p []uint64) abi.Code { return r.resultWrite(uint32(p[0]), uint32(p[1])) },
		abi.ErrorWrite:  func(_ context.Context, r *Run, p []uint64) abi.Code { return r.errorWrite(uint32(p[0]), uint32(p[1])) },
		abi.LogWrite: func(ctx context.Context, r *Run, p []uint64) abi.Code {
			return r.logWrite(ctx, int32(uint32(p[0])), uint32(p[1]), uint32(p[2]))
		},
		abi.ProgressWrite: func(_ context.Context, r *Run, p []uint64) abi.Code {
			return r.progressWrite(uint32(p[0]), uint32(p[1]))
		},
		abi.AnswerRead: func(_ context.Context, r *Run, p []uint64) abi.Code { return r.answerRead(uint32(p[0]), uint32(p[1])) },
	}
	for _, a := range acts {
		plain[a.name] = func(ctx context.Context, r *Run, p []uint64) abi.Code {
			return r.perform(ctx, &a, uint32(p[0]), uint32(p[1]))
		}
	}
	var functions []function
	for _, m := range abi.Imports() {
		f := function{module: abi.Module, name: m.Name, results: []api.ValueType{i32}, kind: capability.Kind(m.Kind)}
		for range m.Params {
			f.params = append(f.params, i32)
		}
		if do := plain[m.Name]; do != nil {
			f.call = func(ctx context.Context, r *Run, p []uint64) uint64 { return uint64(uint32(do(ctx, r, p))) }
		}
		functions = append(functions, f)
	}
	return functions
}

// resultWrite implements result_write(ptr, len): the bytes are appended to the result.
func (r *Run) resultWrite(ptr, n uint32) abi.Code {
	span, ok := r.view(ptr, n)
	if !ok {
		return abi.Invalid
	}
	r.charge(len(span))
	r.writeResult(span)
	return 0
}

// errorWrite implements error_write(ptr, len), a frame [kind, after, message]. The last call counts.
func (r *Run) errorWrite(ptr, n uint32) abi.Code {
	span, ok := r.view(ptr, n)
	if !ok {
		return abi.Invalid
	}
	if len(span) > abi.RequestSizeMax {
		return abi.TooLarge
	}
	r.charge(len(span))
	fields, ok := readFrame(span)
	if !ok || len(fields) != 3 {
		return abi.Invalid
	}
	kind := string(fields[0][:min(len(fields[0]), len(abi.ErrorRetry)+1)])
	if kind != abi.ErrorRetry && kind != abi.ErrorFail {
		return abi.Invalid
	}
	after, ok := decimal(fields[1], abi.RetryAfterMax)
	if !ok {
		return abi.Invalid
	}
	r.errorKind = kind
	r.errorText = escapeCut(fields[2], abi.ErrorSizeMax)
	r.retryAfter = time.Duration(after) * time.Millisecond
	return 0
}

// answerRead implements answer_read(ptr, len): it copies the answer that waits to ptr and forgets it.
// Codes: abi.NotFound when none waits, abi.TooSmall when len is less than its length (it stays), abi.Invalid for a bad span.
func (r *Run) answerRead(ptr, n uint32) abi.Code {
	if !r.waiting {
		return abi.NotFound
	}
	if uint64(n) < uint64(len(r.answer)) {
		return abi.TooSmall
	}
	span, ok := r.view(ptr, uint32(len(r.answer)))
	if !ok {
		return abi.Invalid
	}
	size := copy(span, r.answer)
	r.charge(size)
	r.answer, r.waiting = nil, false
	return abi.Code(size)
}

// decimal reads a number without sign, spaces or leading zeros, at most valueMax.
func decimal(b []byte, valueMax uint64) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 || (b[0] == '0' && len(b) > 1) || b[0] == '+' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b), 10, 64)
	return v, err == nil && v <= valueMax
}
