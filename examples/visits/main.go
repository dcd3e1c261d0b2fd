package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(visit) }

func main() { guest.Main() }

// Request is the input of the task.
type Request struct {
	Page string `json:"page"`
}

// Reply is the result of the task.
type Reply struct {
	Page   string `json:"page"`
	Visits int    `json:"visits"`
}

func visit(ctx context.Context, in Request) (Reply, error) {
	if in.Page == "" {
		return Reply{}, guest.Fail(errors.New("visits: the page is missing"))
	}
	key := "visits/" + in.Page
	visits := 0
	value, err := guest.KV.Get(ctx, key)
	switch {
	case errors.Is(err, guest.ErrNotFound): // the first visit
	case err != nil:
		return Reply{}, err
	default:
		if visits, err = strconv.Atoi(string(value)); err != nil {
			return Reply{}, guest.Fail(fmt.Errorf("visits: %q holds no count", key))
		}
	}
	visits++
	if err := guest.KV.PutFor(ctx, key, strconv.AppendInt(nil, int64(visits), 10), kept); err != nil {
		return Reply{}, err
	}
	return Reply{Page: in.Page, Visits: visits}, nil
}
