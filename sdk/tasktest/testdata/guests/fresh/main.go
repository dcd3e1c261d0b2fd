// Command fresh shows what of a module's start a task sees, and what is the task's own.
package main

import (
	"context"
	"errors"

	"github.com/caisson-run/caisson/sdk/guest"
)

var (
	numbers = guest.Rand() // kept from before the task
	early   = numbers.Uint64()
	decodes int
	handled int
)

func init() { guest.Handle(answer) }

func main() { guest.Main() }

// Request cannot be decoded from what an empty one encodes to, as the start of the module tries.
type Request struct{ Name string }

// UnmarshalJSON implements json.Unmarshaler.
func (r *Request) UnmarshalJSON(text []byte) error {
	decodes++
	if string(text) == `{"Name":""}` {
		panic("an empty request")
	}
	r.Name = string(text)
	return nil
}

// Reply is what the task answers.
type Reply struct {
	Early, Kept, Own uint64
	Decodes, Handled int
}

func answer(_ context.Context, in Request) (Reply, error) {
	handled++
	if in.Name == "" {
		return Reply{}, errors.New("the request has no name")
	}
	return Reply{Early: early, Kept: numbers.Uint64(), Own: guest.Rand().Uint64(), Decodes: decodes, Handled: handled}, nil
}
