// Command guest is the task of the worker's tests: it does what its input says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(work) }

func main() { guest.Main() }

// input says what to do. A gate is a key whose value the test gives when it likes.
type input struct {
	Mode   string `json:"mode"`
	Text   string `json:"text"`
	Key    string `json:"key"`
	Number int    `json:"number"` // status, milliseconds or times, as the mode wants

	whole string // all of the input, for a step of a plan, whose input is what others gave
}

// UnmarshalJSON takes an object without a mode, and anything else, as a whole.
func (in *input) UnmarshalJSON(b []byte) error {
	in.whole = string(b)
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	type plain input
	return json.Unmarshal(b, (*plain)(in))
}

type output struct {
	Text string `json:"text"`

	raw string // instead, when it is not ""
}

// MarshalJSON gives raw as it is.
func (o output) MarshalJSON() ([]byte, error) {
	if o.raw != "" {
		return []byte(o.raw), nil
	}
	type plain output
	return json.Marshal(plain(o))
}

// hoard keeps the compiler from dropping what was allocated.
var hoard [][]byte

func work(ctx context.Context, in input) (output, error) {
	switch in.Mode {
	case "spin", "sleep", "fetch":
		if in.Key != "" { // whoever holds the gate learns that it runs
			_, _ = guest.KV.Get(ctx, "gate/"+in.Key)
		}
	}
	switch in.Mode {
	case "":
		return output{Text: in.whole}, nil
	case "give": // what the step after it gets
		return output{raw: in.Text}, nil
	case "echo":
		return output{Text: in.Text}, nil
	case "repeat":
		return output{Text: strings.Repeat(in.Text, in.Number)}, nil
	case "status":
		os.Exit(in.Number)
	case "error":
		return output{}, errors.New(in.Text)
	case "fail":
		return output{}, guest.Fail(errors.New(in.Text))
	case "retry":
		return output{}, guest.Retry(errors.New(in.Text), time.Duration(in.Number)*time.Millisecond)
	case "panic":
		panic(in.Text)
	case "sleep":
		time.Sleep(time.Duration(in.Number) * time.Millisecond)
		return output{Text: in.Text}, nil
	case "spin":
		for i := 0; ; i++ {
			hoard = hoard[:0]
		}
	case "fetch":
		_, err := guest.HTTP.Get(ctx, "https://web.test/")
		return output{}, err
	case "hoard":
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "gate":
		value, err := guest.KV.Get(ctx, "gate/"+in.Key)
		return output{Text: string(value)}, err
	case "flaky":
		return flaky(ctx, in)
	case "put":
		return output{}, guest.KV.Put(ctx, "test/"+in.Key, []byte(in.Text))
	case "get":
		value, err := guest.KV.Get(ctx, "test/"+in.Key)
		return output{Text: string(value)}, err
	case "calls":
		for range in.Number {
			_, _ = guest.KV.Get(ctx, "test/none")
		}
		return output{}, nil
	case "log":
		for range max(in.Number, 1) {
			guest.Log.Info(in.Text)
		}
		return output{}, nil
	case "env":
		return output{Text: os.Getenv(in.Key)}, nil
	}
	return output{}, guest.Fail(errors.New("unknown mode"))
}

// flaky fails as often as the number says, and then tells how often it ran.
func flaky(ctx context.Context, in input) (output, error) {
	runs := 1
	if value, err := guest.KV.Get(ctx, "test/"+in.Key); err == nil {
		before, _ := strconv.Atoi(string(value))
		runs += before
	}
	if err := guest.KV.Put(ctx, "test/"+in.Key, []byte(strconv.Itoa(runs))); err != nil {
		return output{}, err
	}
	if runs <= in.Number {
		return output{}, errors.New(in.Text)
	}
	return output{Text: strconv.Itoa(runs)}, nil
}
