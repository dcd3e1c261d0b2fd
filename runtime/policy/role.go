package policy

import (
	"errors"
	"fmt"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
)

// grants reads [[role]] and [[role.grant]].
func (r *reader) grants(src []roleSrc) {
	for i, s := range src {
		at := fmt.Sprintf("role[%d]", i)
		r.name(at+".name", "role", s.Name)
		made := &role{name: s.Name, index: i}
		if len(s.Grant) == 0 {
			r.fault(at, "has no [[role.grant]]: it would allow nothing")
		}
		for j, g := range s.Grant {
			made.grants = append(made.grants, r.grant(fmt.Sprintf("%s.grant[%d]", at, j), s.Name, j+1, g))
		}
		if r.roles[s.Name] == nil {
			r.roles[s.Name] = made
		}
	}
}

func (r *reader) grant(at, roleName string, number int, src grantSrc) *grant {
	g := &grant{role: roleName, number: number, line: r.line(at), limitLines: map[string]int{}}
	if r.count(at+".queues", len(src.Queues), queuesMax, "a grant for no queue grants nothing") {
		seen := map[string]bool{}
		for i, q := range src.Queues {
			place := fmt.Sprintf("%s.queues[%d]", at, i)
			if q == "*" {
				r.fault(place, `"*" is refused: name each queue, workers must know which there are`)
			} else if err := envelope.CheckName("queue", q); err != nil {
				r.fault(place, "%s", reason(err))
			} else if seen[q] {
				r.fault(place, "%q is there twice", q)
			}
			seen[q] = true
		}
		g.queues = src.Queues
	}
	g.tasks = r.patterns(at+".tasks", src.Tasks, "a grant for no task grants nothing")
	r.caps(at+".caps", src.Caps, g)
	r.limits(at+".limits", src.Limits, g)
	r.throttle(at, src, g)
	return g
}

// patterns reads names and names that end in ".*".
func (r *reader) patterns(at string, texts []string, emptyIs string) []pattern {
	if !r.count(at, len(texts), tasksMax, emptyIs) {
		return nil
	}
	var list []pattern
	seen := map[string]bool{}
	for i, text := range texts {
		place := fmt.Sprintf("%s[%d]", at, i)
		p := readPattern(text)
		err := envelope.CheckName("task", p.name)
		switch {
		case text == "*" || text == ".*":
			r.fault(place, `"*" alone is refused: name the tasks, or a family of them such as "image.*"`)
		case err != nil:
			r.fault(place, `%s; want a task's name, or all below one such as "image.*"`, reason(err))
		case p.below && p.name[len(p.name)-1] == '.':
			r.fault(place, "has two dots before the *")
		case seen[text]:
			r.fault(place, "%q is there twice", text)
		}
		seen[text] = true
		list = append(list, p)
	}
	return list
}

func (r *reader) caps(at string, lines []string, g *grant) {
	if !r.count(at, len(lines), capsMax, "") {
		return
	}
	seen := map[capability.Capability]bool{}
	for i, text := range lines {
		place := fmt.Sprintf("%s[%d]", at, i)
		c, err := capability.Parse(text)
		var bad *capability.SyntaxError
		switch {
		case errors.As(err, &bad):
			r.file.FaultInside(place, bad.Column-1, "%s", bad.Text)
		case err != nil:
			r.fault(place, "%s", err)
		case seen[c]:
			r.fault(place, "%s is there twice", c)
		default:
			seen[c] = true
			g.caps = append(g.caps, capLine{cap: c, line: r.line(place)})
		}
	}
}

func (r *reader) limits(at string, src limitsSrc, g *grant) {
	for _, f := range ceilings {
		n, stated := f.stated(&src)
		if !stated {
			continue
		}
		place := at + "." + f.name
		r.between(place, n, f.bounds, f.text)
		*f.of(&g.limits) = n
		g.limitLines[f.name] = r.line(place)
	}
}
