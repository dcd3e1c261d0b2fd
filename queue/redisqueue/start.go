package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// Start grants each message to one worker: one script for each queue in the batch,
// and a trip more for each 16 inputs of steps whose inputs are large.
// Errors: as queue.Queue says.
func (q *Queue) Start(ctx context.Context, batch []queue.Start) ([]queue.Started, error) {
	if err := checkBatch(len(batch)); err != nil {
		return nil, err
	}
	for _, s := range batch {
		if err := s.Check(); err != nil {
			return nil, err
		}
	}
	out := make([]queue.Started, len(batch))
	names, places := byQueue(len(batch), func(i int) string { return batch[i].Delivery.Lane.Queue })
	for _, name := range names {
		if err := q.start(ctx, name, batch, places[name], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (q *Queue) start(ctx context.Context, name string, batch []queue.Start, places []int, out []queue.Started) error {
	now := q.conf.Now()
	places, keys, args := q.startArgs(name, batch, places, now)
	reply, err := q.client.run(ctx, "start", startScript, keys, args)
	if err != nil {
		return err
	}
	list, _ := reply.([]any)
	if len(list) == 0 {
		return damaged("start", fmt.Errorf("script returned %T, want a list", reply))
	}
	codes, _ := list[0].(string)
	if len(codes) != len(places) {
		return damaged("start", fmt.Errorf("script returned %d states, want %d", len(codes), len(places)))
	}
	for n, i := range places {
		if err := startedOf(codes[n], &batch[i], now, &out[i]); err != nil {
			return damaged("start", err)
		}
	}
	for _, more := range list[1:] {
		i, apart, err := moreOf(more, places, batch, out)
		if err == nil && apart {
			out[i].Inputs, err = q.inputs(ctx, name, batch[i])
			var known *queue.UnavailableError
			if errors.As(err, &known) || ctx.Err() != nil {
				return err
			}
		}
		if err != nil {
			return damaged("start", err)
		}
	}
	return nil
}

// startGroup is what messages have in common that start together.
type startGroup struct {
	lane  queue.Lane
	keep  time.Duration // of their states, in whole minutes
	plain bool          // they ask for nothing
}

// startArgs returns KEYS and ARGV of lua/begin.lua, and places in the order in which they stand there.
func (q *Queue) startArgs(name string, batch []queue.Start, places []int, now time.Time) (order []int, keys []string, args []any) {
	groups, members := groupStarts(batch, places, now)
	order = make([]int, 0, len(places))
	keys = make([]string, 0, 2*len(groups))
	args = make([]any, 0, 7+3*len(groups)+2*len(places))
	args = append(args, group, q.consumer, prefix(name), q.conf.Lease.Milliseconds(), queue.MessageBytesMax,
		q.sureUntil(batch, places), len(groups))
	for _, plain := range []bool{true, false} {
		for i, g := range groups {
			if g.plain != plain {
				continue
			}
			keys = append(keys, laneKey(g.lane), statesKey(g.lane))
			args = append(args, len(members[i]), g.keep.Milliseconds(), bit(plain))
			order = append(order, members[i]...)
		}
	}
	states := make([]string, len(order))
	var last queue.Lane
	var tail string // of states of last
	for n, i := range order {
		s, d := &batch[i], &batch[i].Delivery
		if n == 0 || d.Lane != last {
			last, tail = d.Lane, "|"+laneName(d.Lane)+"|0|0|"+q.consumer+"|"
		}
		verdict := ""
		if unasked(s, now) {
			verdict = "unasked"
		}
		states[n] = d.Token + "|" + verdict + "|" + d.Entry + tail + shortDigest(s.Digest) + "|r"
		args = append(args, &s.ID, &states[n])
	}
	for n, i := range order {
		s := &batch[i]
		if gates, rest := askOf(s, now); s.Plan != "" || gates != "" || rest != "" {
			args = append(args, n+1, s.Plan, gates, rest)
		}
	}
	return order, keys, args
}

// groupStarts returns the groups and, for each, the places of its messages.
func groupStarts(batch []queue.Start, places []int, now time.Time) (groups []startGroup, members [][]int) {
	known := map[startGroup]int{}
	last := -1
	for _, i := range places {
		s := &batch[i]
		g := startGroup{lane: s.Delivery.Lane, plain: !s.Begins && s.Plan == "" && len(s.Gates) == 0 && len(s.After) == 0 && s.Unique.Key == ""}
		g.keep = (keep(s.Expires.Sub(now)) + time.Minute - 1).Truncate(time.Minute)
		if last < 0 || groups[last] != g {
			var met bool
			if last, met = known[g]; !met {
				last = len(groups)
				known[g] = last
				groups, members = append(groups, g), append(members, nil)
			}
		}
		members[last] = append(members[last], i)
	}
	return groups, members
}

// sureUntil returns until when, by Redis's clock in ms, nobody can have taken over any of these deliveries: 0 when that is not known.
func (q *Queue) sureUntil(batch []queue.Start, places []int) int64 {
	var first time.Time
	for n, i := range places {
		at := batch[i].Delivery.Leased
		if at.IsZero() {
			return 0
		}
		if n == 0 || at.Before(first) {
			first = at
		}
	}
	return first.Add(q.conf.Lease).UnixMilli()
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// keep returns how long the state of a message is kept that lives for left.
func keep(left time.Duration) time.Duration {
	return min(max(left, 0)+queue.StateGrace, queue.StateTTLMax)
}

// asked is what lua/admit.lua calls the rest.
type asked struct {
	Left   int64    `json:"left"`
	After  []string `json:"after,omitempty"`
	From   string   `json:"from,omitempty"`
	Unique string   `json:"unique,omitempty"`
	Window int64    `json:"window,omitempty"`
	Begins bool     `json:"begins,omitempty"`
}

// unasked reports whether s has a unique key that it does not ask for: see askOf.
func unasked(s *queue.Start, now time.Time) bool {
	return s.Unasked || s.Unique.Key != "" && !s.Expires.After(now)
}

// askOf returns what s asks for beyond its grant. What has expired asks for nothing:
// it will not run, and is granted so that its end can be told.
func askOf(s *queue.Start, now time.Time) (gates, rest string) {
	left := s.Expires.Sub(now)
	if s.Begins {
		return "", text(asked{Left: 1, Begins: true})
	}
	if len(s.Gates) == 0 && len(s.After) == 0 && s.Unique.Key == "" || left <= 0 {
		return "", ""
	}
	if len(s.Gates) > 0 {
		list := make([][4]any, len(s.Gates))
		for i, g := range s.Gates {
			list[i] = [4]any{g.Name, g.InFlight, g.Every.Microseconds(), g.Burst}
		}
		gates = text(list)
	}
	a := asked{Left: max(1, min(left, queue.DelayMax).Milliseconds()), After: s.After, Unique: s.Unique.Key, Window: s.Unique.Window.Milliseconds()}
	if len(s.After) > 0 {
		a.From = s.ResultKey
	}
	return gates, text(a)
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("internal error: names and numbers as JSON: %v", err))
	}
	return string(data)
}

// startedOf reads one letter of the script's answer.
func startedOf(code byte, s *queue.Start, now time.Time, out *queue.Started) error {
	st := queue.Started{State: queue.State(code - 'a' + 1), Lease: s.Delivery.Unstarted()}
	st.Lease.ID = s.ID
	switch st.State {
	case queue.Granted:
		st.Attempt = 1
		st.Lease.Token = s.Delivery.Token
		if s.Expires.After(now) { // else it was asked nothing, see askOf
			st.Lease.Gates = placesOf(s.Gates)
		}
	case queue.Taken:
		st.Lease.Token = s.Delivery.Token
	case queue.Replayed, queue.Duplicate, queue.Conflict, queue.Lost, queue.Waits, queue.Throttled:
	default:
		return fmt.Errorf("script returned state %q", code)
	}
	*out = st
	return nil
}

// suspectGate is where a suspect has its place, see lua/admit.lua.
const suspectGate = "_suspect"

// placesOf names the gates where a message that passed them has a place.
func placesOf(gates []queue.Gate) string {
	if len(gates) == 0 {
		return ""
	}
	var names []string
	for _, g := range gates {
		if g.InFlight > 0 {
			names = append(names, g.Name)
		}
	}
	return strings.Join(names, " ")
}

// moreOf reads {number, attempt, crashes, first, cancels, inputs} into out, and
// returns which one it is of, and whether its inputs are to be read apart.
func moreOf(reply any, places []int, batch []queue.Start, out []queue.Started) (int, bool, error) {
	list, _ := reply.([]any)
	if len(list) != 6 {
		return 0, false, fmt.Errorf("script told %T of %d, want a list of 6", reply, len(list))
	}
	n, ok1 := list[0].(int64)
	attempt, ok2 := list[1].(int64)
	crashes, ok3 := list[2].(int64)
	first, ok4 := list[3].(string)
	cancels, ok5 := list[4].([]any)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || n < 1 || int(n) > len(places) {
		return 0, false, errors.New("script told something malformed")
	}
	i := places[n-1]
	st := &out[i]
	if st.State == queue.Taken {
		st.First = first
		return i, false, queue.CheckID("first", first)
	}
	st.Attempt, st.Crashes = int(attempt), int(crashes)
	if st.State == queue.Granted && st.Crashes == queue.SuspectCrashes {
		st.Lease.Gates = strings.TrimSpace(st.Lease.Gates + " " + suspectGate)
	}
	for _, c := range cancels {
		if order, ok := c.(string); ok && len(order) <= queue.OrderBytesMax {
			st.Cancels = append(st.Cancels, []byte(order))
		}
	}
	switch inputs := list[5].(type) {
	case int64:
		return i, inputs == -1, nil
	case []any:
		if len(inputs) == 0 {
			return i, false, nil
		}
		if len(inputs) != len(batch[i].After) {
			return i, false, fmt.Errorf("script gave %d inputs, want %d", len(inputs), len(batch[i].After))
		}
		st.Inputs = make([][]byte, len(inputs))
		for k, in := range inputs {
			result, _ := in.(string)
			st.Inputs[k] = []byte(result)
		}
	}
	return i, false, nil
}

// inputs reads the results that s needs, in pieces; what is missing, or larger than any result, stays empty.
func (q *Queue) inputs(ctx context.Context, name string, s queue.Start) ([][]byte, error) {
	out := make([][]byte, len(s.After))
	size := 0
	for from := 0; from < len(out); from += inputsPiece {
		to := min(from+inputsPiece, len(out))
		cmds := make([]*redis.StringCmd, to-from)
		err := q.client.do(ctx, "start", func(ctx context.Context) error {
			pipe := q.client.rdb.Pipeline()
			for k := range cmds {
				// One byte more than there may be, as in getMany: between the look at their sizes and this somebody can have put more there.
				cmds[k] = pipe.GetRange(ctx, resultKey(name, s.ResultKey, s.After[from+k]), 0, queue.ResultBytesMax)
			}
			_, err := exec(ctx, pipe) // replies are looked at one by one below
			return err
		})
		if err != nil {
			return nil, err
		}
		for k, cmd := range cmds {
			in, err := cmd.Bytes()
			if err != nil && reason(err) != queue.ReasonData {
				return nil, unavailable("start", err)
			}
			if len(in) > queue.ResultBytesMax {
				continue
			}
			out[from+k] = in
			if size += len(in); size > queue.InputsBytesMax {
				return nil, nil // they have grown since
			}
		}
	}
	return out, nil
}
