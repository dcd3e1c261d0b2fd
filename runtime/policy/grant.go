package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

// pattern is one line of tasks: a name, or all names below one.
type pattern struct {
	name  string // without the ".*"
	below bool
}

// readPattern splits text; the name in it still has to be checked.
func readPattern(text string) pattern {
	if name, ok := strings.CutSuffix(text, ".*"); ok {
		return pattern{name: name, below: true}
	}
	return pattern{name: text}
}

func (p pattern) String() string {
	if p.below {
		return p.name + ".*"
	}
	return p.name
}

// matches reports whether p names the task. "image.*" names image.a and image.a.b, but neither image nor images.a.
func (p pattern) matches(task string) bool {
	if !p.below {
		return task == p.name
	}
	return len(task) > len(p.name)+1 && task[len(p.name)] == '.' && strings.HasPrefix(task, p.name)
}

// grant is one [[role.grant]].
type grant struct {
	role       string
	number     int // within its role, from 1
	line       int
	queues     []string
	tasks      []pattern
	caps       []capLine
	limits     capability.Limits
	limitLines map[string]int // by the name of the limit

	inFlight     int    // 0: not stated
	gate         string // with inFlight
	inFlightLine int
	every        time.Duration // 0: no rate is stated
	burst        int           // with every
	rateLine     int
}

// capLine is a capability and the line that grants it.
type capLine struct {
	cap  capability.Capability
	line int
}

// decision is what one combination of grants comes to.
type decision struct {
	grants []int // indexes into rules.grants, ascending
	caps   capability.Set
	limits capability.Limits

	inFlight *grant        // the one whose in_flight counts; nil: none states it
	every    time.Duration // 0: none states a rate
	burst    int           // with every
	rateLine int
}

// scope is the key by which decisions are looked up: a queue, and a task or all tasks below a name.
type scope struct {
	queue string
	task  pattern
}

// rules are the grants of one combination of roles, decided ahead for every scope that any of them names. Which grants
// match a task then depends only on the task itself if a grant names it, else on the longest pattern above it.
type rules struct {
	grants  []*grant
	byScope map[scope]*decision
}

// lookup returns what the rules say of a task in a queue; nil is a denial. Its cost is the number of dots in the
// task's name, not the number of rules, and it allocates nothing.
func (r *rules) lookup(queue, task string) *decision {
	if d := r.byScope[scope{queue, pattern{name: task}}]; d != nil {
		return d
	}
	for name := family(task); name != ""; name = family(name) {
		if d := r.byScope[scope{queue, pattern{name: name, below: true}}]; d != nil {
			return d
		}
	}
	return nil
}

// family returns the name that a name stands directly below, "" when there is none: "a.b" for "a.b.c". A dot at the end
// has nothing below it and does not count.
func family(name string) string {
	if name == "" {
		return ""
	}
	return name[:max(0, strings.LastIndexByte(name[:len(name)-1], '.'))]
}

// compiler makes rules; equal combinations of roles are made once.
type compiler struct {
	rules map[string]*rules // by the roles' names, in the order of the file
	cost  int
}

// errTooLarge tells that the index would grow past costMax.
var errTooLarge = errors.New("the grants of this file come to too many combinations of queue, task and capability")

// compile returns the rules of some roles.
func (c *compiler) compile(roles []*role) (*rules, error) {
	roles = slices.Clone(roles)
	slices.SortFunc(roles, func(a, b *role) int { return a.index - b.index })
	names := make([]string, len(roles))
	made := &rules{byScope: map[scope]*decision{}}
	for i, r := range roles {
		names[i] = r.name
		made.grants = append(made.grants, r.grants...)
	}
	id := strings.Join(names, "/") // no name has a slash
	if known, ok := c.rules[id]; ok {
		return known, nil
	}
	named := map[scope][]int{} // the grants that have exactly this line
	for i, g := range made.grants {
		if c.cost += len(g.queues) * len(g.tasks); c.cost > costMax {
			return nil, errTooLarge
		}
		for _, at := range g.scopes() {
			named[at] = append(named[at], i)
		}
	}
	decisions := map[string]*decision{}
	for _, g := range made.grants { // not over named, whose order differs, and with it the fault that comes first
		for _, at := range g.scopes() {
			if made.byScope[at] != nil {
				continue
			}
			d, err := c.decide(made.grants, named, at, decisions)
			if err != nil {
				return nil, err
			}
			made.byScope[at] = d
		}
	}
	c.rules[id] = made
	return made, nil
}

// scopes returns each pair of a queue and a task line of the grant.
func (g *grant) scopes() []scope {
	list := make([]scope, 0, len(g.queues)*len(g.tasks))
	for _, q := range g.queues {
		for _, t := range g.tasks {
			list = append(list, scope{q, t})
		}
	}
	return list
}

// decide unites the grants that match a scope: those that have its line, and those that have a pattern above it.
func (c *compiler) decide(all []*grant, named map[scope][]int, at scope, known map[string]*decision) (*decision, error) {
	match := slices.Clone(named[at])
	for name := family(at.task.name); name != ""; name = family(name) {
		match = append(match, named[scope{at.queue, pattern{name: name, below: true}}]...)
	}
	slices.Sort(match)
	match = slices.Compact(match)
	id := fmt.Sprint(match)
	if d, ok := known[id]; ok {
		return d, nil
	}
	d := &decision{grants: match}
	var lines []string
	for _, i := range match {
		d.loosen(all[i])
		if c.cost += len(all[i].caps); c.cost > costMax {
			return nil, errTooLarge
		}
		for _, l := range all[i].caps {
			lines = append(lines, l.cap.String())
		}
		for _, f := range ceilings {
			// The loosest of those that are stated; 0 is not stated and never the larger.
			*f.of(&d.limits) = max(f.get(all[i].limits), f.get(d.limits))
		}
	}
	slices.Sort(lines)
	caps, err := capability.ParseSet(slices.Compact(lines))
	if err != nil {
		return nil, fmt.Errorf("the grants that match %s in queue %s do not unite: %w", at.task, at.queue, err)
	}
	d.caps = caps
	known[id] = d
	return d, nil
}
