// A reactor by the SDK: {"A":1,"B":2} in, {"Sum":3} out.
package main

import (
	"context"

	"github.com/caisson-run/caisson/sdk/guest"
)

type pair struct{ A, B int64 }
type sum struct{ Sum int64 }

func init() { guest.Handle(add) }

func main() { guest.Main() }

func add(_ context.Context, in pair) (sum, error) { return sum{in.A + in.B}, nil }
