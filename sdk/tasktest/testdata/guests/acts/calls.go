package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

// Call is one capability call.
type Call struct {
	Call    string         `json:"call"`
	Key     string         `json:"key"`   // or prefix, or method
	Value   string         `json:"value"` // or after, or body
	URL     string         `json:"url"`
	Headers []guest.Header `json:"headers"`
	Number  int            `json:"number"` // seconds, or most
}

// Answer is what came of it.
type Answer struct {
	Values  []string       `json:"values"`
	Status  int            `json:"status"`
	Headers []guest.Header `json:"headers"`
	Error   string         `json:"error"`
	Is      string         `json:"is"` // the Err value that the error is
}

func call(ctx context.Context, in Call) (Answer, error) {
	var out Answer
	var err error
	switch in.Call {
	case "get":
		var value []byte
		value, err = guest.KV.Get(ctx, in.Key)
		out.Values = []string{string(value)}
	case "put":
		err = guest.KV.Put(ctx, in.Key, []byte(in.Value))
	case "put large":
		err = guest.KV.Put(ctx, in.Key, make([]byte, in.Number))
	case "put for":
		err = guest.KV.PutFor(ctx, in.Key, []byte(in.Value), time.Duration(in.Number)*time.Second)
	case "delete":
		err = guest.KV.Delete(ctx, in.Key)
	case "list":
		out.Values, err = guest.KV.List(ctx, in.Key, in.Value, in.Number)
	case "fetch":
		var response guest.Response
		response, err = guest.HTTP.Do(ctx, guest.Request{Method: in.Key, URL: in.URL, Headers: in.Headers, Body: []byte(in.Value)})
		out.Values, out.Status, out.Headers = []string{string(response.Body)}, response.Status, response.Headers
	case "many":
		out.Values, err = many(ctx, in.Number)
	case "pass on":
		_, err = guest.KV.Get(ctx, in.Key)
		return out, err
	default:
		return out, guest.Fail(fmt.Errorf("unknown call %q", in.Call))
	}
	if err != nil {
		out.Error, out.Is = err.Error(), nameOf(err)
	}
	return out, nil
}

// rounds is how often each goroutine of many reads its key: often enough that the garbage collector, which stops goroutines where
// they allocate, comes by in the middle of a call.
const rounds = 20

// many reads keys from as many goroutines: each must get its own answer.
func many(ctx context.Context, n int) ([]string, error) {
	values, faults := make([]string, n), make([]error, n)
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			for range rounds {
				value, err := guest.KV.Get(ctx, fmt.Sprint("mine/", i))
				if err != nil {
					faults[i] = err
					return
				}
				values[i] = string(value[:len(value)/100])
			}
		}()
	}
	for range n {
		<-done
	}
	return values, errors.Join(faults...)
}

func nameOf(err error) string {
	for name, is := range map[string]error{
		"denied": guest.ErrDenied, "not found": guest.ErrNotFound, "invalid": guest.ErrInvalid, "too large": guest.ErrTooLarge,
		"unavailable": guest.ErrUnavailable, "timeout": guest.ErrTimeout, "quota": guest.ErrQuota,
	} {
		if errors.Is(err, is) {
			return name
		}
	}
	return "other"
}
