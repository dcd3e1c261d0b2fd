package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/tetratelabs/wazero/api"
)

// works are the exports of a guest of the compute set, in an instance that is kept. C's and Rust's streams remember their end, so that a second task in one
// instance would find no payload; the exports can be called again and again.
type works struct {
	instance api.Module
	name     string // of function
	function api.Function
	out      []byte
}

// call takes "name n", calls that export on n, and returns its result in decimal.
func (w *works) call(ctx context.Context, input []byte) ([]byte, error) {
	name, number, _ := bytes.Cut(input, []byte(" "))
	n, err := strconv.ParseUint(string(number), 10, 32)
	if err != nil {
		return nil, err
	}
	if w.name != string(name) {
		w.name = string(name)
		w.function = w.instance.ExportedFunction(w.name)
	}
	if w.function == nil {
		return nil, fmt.Errorf("the guest does not export %s", name)
	}
	result, err := w.function.Call(ctx, n)
	if err != nil {
		return nil, err
	}
	w.out = strconv.AppendUint(w.out[:0], uint64(uint32(result[0])), 10)
	return w.out, nil
}
