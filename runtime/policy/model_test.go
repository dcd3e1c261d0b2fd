package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/policy"
)

// world is a policy as the naive model sees it.
type world struct {
	roles      map[string][]modelGrant
	principals map[string][]string // name -> roles
}

type modelGrant struct {
	queues, tasks, caps []string
	wall, memory        int64 // seconds, MiB; 0: not stated
}

// ask is the model: it reads every grant of every role, each time, and knows no index.
func (w world) ask(principal, queue, task, act string) (allowed, holds bool, wall, memory int64) {
	for _, role := range w.principals[principal] {
		for _, g := range w.roles[role] {
			if !anyOf(g.queues, func(q string) bool { return q == queue }) ||
				!anyOf(g.tasks, func(p string) bool {
					family, isFamily := strings.CutSuffix(p, "*")
					return p == task || isFamily && strings.HasPrefix(task, family) && task != family
				}) {
				continue
			}
			allowed = true
			wall, memory = max(wall, g.wall), max(memory, g.memory)
			for _, c := range g.caps {
				holds = holds || covers[c+" > "+act]
			}
		}
	}
	return allowed, holds, wall, memory
}

func anyOf(list []string, f func(string) bool) bool {
	for _, s := range list {
		if f(s) {
			return true
		}
	}
	return false
}

// The vocabulary of the model, and what covers what, written out by hand.
var (
	modelQueues = []string{"a", "b", "a.b"}
	modelTasks  = []string{"x", "x.y", "x.y.z", "x.yy", "x.y.z.w", "xx.y", "x.", "y"}
	modelRules  = []string{"x", "x.*", "x.y", "x.y.*", "x.y.z", "x.y.z.*", "xx.*", "x.yy", "y"}
	modelCaps   = []string{"log", "kv ro k/*", "kv rw k/*", "kv ro k/1", "http GET https://a.example.com/*"}
	modelActs   = []string{"log", "kv ro k/1", "kv wo k/2", "kv ro l/1", "http GET https://a.example.com/p", "http GET https://b.example.com/p"}
	covers      = map[string]bool{
		"log > log": true, "kv ro k/* > kv ro k/1": true, "kv rw k/* > kv ro k/1": true, "kv ro k/1 > kv ro k/1": true,
		"kv rw k/* > kv wo k/2": true, "http GET https://a.example.com/* > http GET https://a.example.com/p": true,
	}
)

func some(r *rand.Rand, from []string, least int) []string {
	n := least + r.IntN(3)
	picked := map[string]bool{}
	var list []string
	for len(list) < n {
		if s := from[r.IntN(len(from))]; !picked[s] {
			picked[s] = true
			list = append(list, s)
		}
	}
	return list
}

func newWorld(r *rand.Rand) world {
	w := world{roles: map[string][]modelGrant{}, principals: map[string][]string{}}
	var roles []string
	for i := range 1 + r.IntN(4) {
		name := fmt.Sprintf("r%d", i)
		roles = append(roles, name)
		for range 1 + r.IntN(3) {
			w.roles[name] = append(w.roles[name], modelGrant{
				queues: some(r, modelQueues, 1)[:1], tasks: some(r, modelRules, 1), caps: some(r, modelCaps, 0),
				wall: int64(r.IntN(3)), memory: int64(r.IntN(4)),
			})
		}
	}
	for i := range 2 {
		r.Shuffle(len(roles), func(i, j int) { roles[i], roles[j] = roles[j], roles[i] })
		w.principals[fmt.Sprintf("p%d", i)] = append([]string(nil), roles[:1+r.IntN(len(roles))]...)
	}
	return w
}

func (w world) text(t testing.TB) string {
	var b strings.Builder
	b.WriteString("version = 1\naudience = \"prod\"\n[[tenant]]\nname = \"acme\"\n")
	quoted := func(list []string) string {
		return strings.ReplaceAll(fmt.Sprintf("%q", list), `" "`, `", "`)
	}
	for name, grants := range w.roles { // in any order: the order of rules must not matter
		fmt.Fprintf(&b, "[[role]]\nname = %q\n", name)
		for _, g := range grants {
			fmt.Fprintf(&b, "[[role.grant]]\nqueues = %s\ntasks = %s\ncaps = %s\n", quoted(g.queues), quoted(g.tasks), quoted(g.caps))
			if g.wall > 0 {
				fmt.Fprintf(&b, "limits.wall = \"%ds\"\n", g.wall)
			}
			if g.memory > 0 {
				fmt.Fprintf(&b, "limits.memory = \"%dMiB\"\n", g.memory)
			}
		}
	}
	for name, roles := range w.principals {
		fmt.Fprintf(&b, "[[principal]]\nname = %q\npurpose = \"submit\"\ntenant = \"acme\"\nkeys = [\"{submit:%s}\"]\nroles = %s\n", name, name, quoted(roles))
	}
	return fill(t, b.String())
}

// FuzzModel compares the policy with the naive model, on worlds and questions drawn from the seed.
func FuzzModel(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(r)
		text := w.text(t)
		p, err := policy.Parse("policy.toml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for range 30 {
			who, act := fmt.Sprintf("p%d", r.IntN(2)), modelActs[r.IntN(len(modelActs))]
			k := task()
			k.Queue, k.Task = modelQueues[r.IntN(len(modelQueues))], modelTasks[r.IntN(len(modelTasks))]
			allowed, holds, wall, memory := w.ask(who, k.Queue, k.Task, act)
			v := verified(t, k, submitKey(t, who))
			a, err := p.Authorize(v, noon)
			if (err == nil) != allowed {
				t.Fatalf("%s %s %s: got %v, the model says %v\n%s", who, k.Queue, k.Task, err, allowed, text)
			}
			x := p.ExplainRelease(v, noon, set(t, act))
			if (x.Verdict == "allowed") != (allowed && holds) {
				t.Fatalf("%s %s %s %s: the explanation says %q, the model %v\n%s", who, k.Queue, k.Task, act, x.Verdict, allowed && holds, text)
			}
			if err != nil {
				continue
			}
			if _, err := a.Hold(set(t, act)); (err == nil) != holds {
				t.Fatalf("%s %s %s %s: got %v, the model says %v\n%s", who, k.Queue, k.Task, act, err, holds, text)
			}
			want := capability.Limits{Wall: time.Duration(wall) * time.Second, Memory: memory << 20}
			if a.Limits() != want {
				t.Fatalf("%s %s %s: limits %+v, the model says %+v\n%s", who, k.Queue, k.Task, a.Limits(), want, text)
			}
		}
	})
}
