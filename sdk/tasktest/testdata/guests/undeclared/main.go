// Command undeclared uses a power that its manifest does not need.
package main

import (
	"context"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() {
	guest.Handle(func(ctx context.Context, key string) ([]byte, error) { return guest.KV.Get(ctx, key) })
}

func main() { guest.Main() }
