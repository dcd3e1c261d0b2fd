package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Gate is a bound that all workers of a queue share: a queue.Gate in numbers, since this room knows no broker, so
// queue.Gate(g) is one. Each queue counts for itself.
type Gate struct {
	// Name is the same for all that count together: of a tenant, of a grant, or of a principal's task.
	Name string

	InFlight int           // the most that may run at a time; 0: no such bound
	Every    time.Duration // the least time between two that begin, on average; 0: no such bound
	Burst    int           // how many may begin at once after a quiet time; 0 only without Every
}

// Gates returns what this task has to pass before it begins, at most three: what its tenant may have running, what the grant
// with the loosest in_flight may have running, and how often its principal may begin this task. The caller owns the slice.
func (a Authorised) Gates() []Gate { return append([]Gate(nil), a.gates...) }

// gates returns those of one task.
func (p *Policy) gates(who *principal, d *decision, task string) []Gate {
	var list []Gate
	if t := p.tenant(who.tenant); t != nil && t.inFlight > 0 {
		list = append(list, Gate{Name: t.gate, InFlight: t.inFlight})
	}
	if d.inFlight != nil {
		list = append(list, Gate{Name: d.inFlight.gate, InFlight: d.inFlight.inFlight})
	}
	if d.every > 0 {
		list = append(list, Gate{Name: gateName("rate", who.name, task), Every: d.every, Burst: d.burst})
	}
	return list
}

// gateName makes a broker's name of any names: names of a policy may have dots, and together be too long.
func gateName(kind string, names ...string) string {
	sum := sha256.Sum256([]byte(kind + "/" + strings.Join(names, "/"))) // no name has a slash
	return kind + "-" + hex.EncodeToString(sum[:16])
}

// loosen lets g count for d where it states more than the grants before it; of equals the first in the file counts.
func (d *decision) loosen(g *grant) {
	if g.inFlight > 0 && (d.inFlight == nil || g.inFlight > d.inFlight.inFlight) {
		d.inFlight = g
	}
	if g.every > 0 && (d.every == 0 || g.every < d.every) {
		d.every, d.rateLine = g.every, g.rateLine
	}
	d.burst = max(d.burst, g.burst)
}

// throttle reads what bounds the number and the pace of a grant's tasks.
func (r *reader) throttle(at string, src grantSrc, g *grant) {
	if src.InFlight != nil {
		r.between(at+".in_flight", *src.InFlight, bounds{1, inFlightMax}, countText)
		g.inFlight, g.inFlightLine = int(*src.InFlight), r.line(at+".in_flight")
		g.gate = gateName("grant", g.role, strconv.Itoa(g.number))
	}
	if src.Burst != nil {
		r.between(at+".burst", *src.Burst, bounds{1, burstMax}, countText)
		if !r.file.Has(at + ".rate") {
			r.fault(at+".burst", "is for a rate, and there is none")
		}
	}
	if src.Rate == nil {
		return
	}
	g.every, g.rateLine = src.Rate.every, r.line(at+".rate")
	if g.burst = min(src.Rate.number, burstMax); src.Burst != nil {
		g.burst = int(*src.Burst)
	}
}

// rate is so many in a second, a minute or an hour: "100/s".
type rate struct {
	number int
	every  time.Duration
}

func (r *rate) UnmarshalText(text []byte) error {
	digits, unit, ok := strings.Cut(string(text), "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || per == 0 || err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return errors.New(`not a rate, such as "100/s", "30/m" or "5/h"`)
	}
	every := per / time.Duration(n)
	if every < rateEveryMin {
		return fmt.Errorf("%s is faster than the maximum %d/s", text, time.Second/rateEveryMin)
	}
	*r = rate{number: int(n), every: every}
	return nil
}

// rateText says every as a file would, near enough.
func rateText(every time.Duration, burst int) string {
	for _, u := range []struct {
		per  time.Duration
		name string
	}{{time.Second, "s"}, {time.Minute, "m"}, {time.Hour, "h"}} {
		if every <= u.per {
			return fmt.Sprintf("%d/%s, %d at once", u.per/every, u.name, burst)
		}
	}
	return every.String()
}
