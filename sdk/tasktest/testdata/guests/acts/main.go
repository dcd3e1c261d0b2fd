// Command acts is a task for the tests of sdk/guest inside the sandbox: its input says how it ends and what it calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(act) }

func main() { guest.Main() }

// Input says how to end.
type Input struct {
	Mode  string `json:"mode"`
	Value int    `json:"value"`
	Call  Call   `json:"call"` // for the mode "call"
}

// Output is what came of it.
type Output struct {
	Text   string  `json:"text,omitempty"`
	Answer *Answer `json:"answer,omitempty"`
}

func act(ctx context.Context, in Input) (Output, error) {
	switch in.Mode {
	case "done":
		fmt.Println("a print corrupts nothing")
		return Output{Text: fmt.Sprint("value ", in.Value)}, nil
	case "panic":
		panic(fmt.Sprint("boom ", in.Value))
	case "nil":
		var p *Input
		p.Value++
	case "index":
		return Output{Text: string([]byte("abc")[in.Value])}, nil
	case "panic elsewhere":
		go func() { panic("boom elsewhere") }()
		time.Sleep(time.Second)
	case "goroutines":
		return Output{Text: fmt.Sprint(together(in.Value))}, nil
	case "sleep":
		began := time.Now()
		time.Sleep(time.Duration(in.Value) * time.Millisecond)
		return Output{Text: fmt.Sprint(time.Since(began) >= time.Duration(in.Value)*time.Millisecond)}, nil
	case "deadlock":
		select {}
	case "left behind":
		go func() {
			for {
				time.Sleep(time.Millisecond)
			}
		}()
		return Output{Text: "gone"}, nil
	case "retry":
		return Output{}, guest.Retry(errors.New("the weather is bad"), time.Duration(in.Value)*time.Millisecond)
	case "fail":
		return Output{}, guest.Fail(errors.New("this will never do"))
	case "error":
		return Output{}, errors.New("not this time")
	case "call":
		answer, err := call(ctx, in.Call)
		return Output{Answer: &answer}, err
	case "exit":
		os.Exit(in.Value)
	}
	return Output{}, guest.Fail(fmt.Errorf("unknown mode %q", in.Mode))
}

// together adds the numbers below n, each in a goroutine that first sleeps.
func together(n int) int {
	var group sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := range n {
		group.Go(func() {
			time.Sleep(time.Duration(i) * time.Millisecond)
			lock.Lock()
			defer lock.Unlock()
			sum += i
		})
	}
	group.Wait()
	return sum
}
