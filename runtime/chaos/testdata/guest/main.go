// Command guest is the task of the chaos tests: it says that it runs, does what its input says, and says when it has come to its end.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(work) }

func main() { guest.Main() }

// input says what to do.
type input struct {
	Kind  string `json:"kind"`
	Until int64  `json:"until"` // of until and after: when it first succeeds, in ms since 1970
	For   int    `json:"for"`   // of sleep: ms
	Text  string `json:"text"`
}

type output struct {
	Text string `json:"text"`
}

func work(_ context.Context, in input) (output, error) {
	guest.Log.Info("run")
	switch in.Kind {
	case "done", "": // a step of a plan gets what the one before gave, which says no kind
		return give(in)
	case "until", "after":
		if time.Now().UnixMilli() >= in.Until {
			return give(in)
		}
		if in.Kind == "after" {
			return output{}, guest.Retry(errors.New("not yet"), 400*time.Millisecond)
		}
		return output{}, errors.New("not yet")
	case "final":
		return output{}, guest.Fail(errors.New("never"))
	case "always":
		return output{}, errors.New("again")
	case "panic":
		panic("as asked")
	case "sleep":
		time.Sleep(time.Duration(in.For) * time.Millisecond)
		return give(in)
	}
	return output{}, guest.Fail(errors.New("no such kind"))
}

// give ends a run that succeeds, and says so: nothing is done that has not.
func give(in input) (output, error) {
	guest.Log.Info("over")
	return output{in.Text}, nil
}

// UnmarshalJSON takes also what a step gets that comes after several: an array of what they gave.
func (in *input) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		*in = input{}
		return nil
	}
	type plain input
	return json.Unmarshal(b, (*plain)(in))
}
