package guest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

// Request is what greet takes.
type Request struct {
	Name string `json:"name"`
}

// Reply is what greet answers.
type Reply struct {
	Text string `json:"text"`
}

// greet is a plain function, so it can be tested as one. In a task, init registers it: guest.Handle(greet).
func greet(_ context.Context, in Request) (Reply, error) {
	if in.Name == "" {
		return Reply{}, guest.Fail(errors.New("there is nobody to greet"))
	}
	return Reply{Text: "HELLO " + strings.ToUpper(in.Name)}, nil
}

func Example() {
	reply, err := greet(context.Background(), Request{Name: "world"})
	fmt.Println(reply.Text, err)
	_, err = greet(context.Background(), Request{})
	fmt.Println(err)
	// Output:
	// HELLO WORLD <nil>
	// there is nobody to greet
}

func ExampleStore_Get() {
	_, err := guest.KV.Get(context.Background(), "greeting:en")
	switch {
	case errors.Is(err, guest.ErrNotFound):
		fmt.Println("no greeting is set")
	case errors.Is(err, guest.ErrUnavailable):
		fmt.Println(guest.Retry(err, time.Minute))
	default:
		fmt.Println(err)
	}
	// Output: guest: kv get "greeting:en": runs only as a task
}
