// A reactor by the SDK with a few nested types: an order in, what it costs out.
package main

import (
	"context"

	"github.com/caisson-run/caisson/sdk/guest"
)

type order struct {
	ID    string            `json:"id"`
	To    address           `json:"to"`
	Lines []line            `json:"lines"`
	Notes map[string]string `json:"notes"`
}

type address struct {
	Name, Street, City string
}

type line struct {
	Item  string  `json:"item"`
	Count int64   `json:"count"`
	Each  float64 `json:"each"`
}

type bill struct {
	ID    string  `json:"id"`
	Total float64 `json:"total"`
	Lines []line  `json:"lines"`
}

func main() { guest.Main() }

func price(_ context.Context, in order) (bill, error) {
	out := bill{ID: in.ID, Lines: in.Lines}
	for _, l := range in.Lines {
		out.Total += float64(l.Count) * l.Each
	}
	return out, nil
}
