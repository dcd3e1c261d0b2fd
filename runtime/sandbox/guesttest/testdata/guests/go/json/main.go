// A reactor with a small real job: {"A":1,"B":2} in, {"Sum":3} out, by encoding/json.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type in struct{ A, B int64 }
type out struct{ Sum int64 }

var runs int // stays 0 before every run, or the state was not clean

//go:wasmexport caisson_run
func run() int32 {
	if runs++; runs != 1 {
		return 70
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 1
	}
	var i in
	if err := json.Unmarshal(text, &i); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 65
	}
	answer, err := json.Marshal(out{i.A + i.B})
	if err != nil {
		return 1
	}
	if _, err := os.Stdout.Write(answer); err != nil {
		return 1
	}
	return 0
}

func main() {}
