//go:build cold

package main

import (
	"context"
	"encoding/json"

	"github.com/caisson-run/caisson/sdk/guest"
)

// The SDK sees bytes, so that each task meets the types for the first time.
func init() { guest.Handle(priceBytes) }

func priceBytes(ctx context.Context, in []byte) ([]byte, error) {
	var o order
	if err := json.Unmarshal(in, &o); err != nil {
		return nil, err
	}
	out, err := price(ctx, o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
