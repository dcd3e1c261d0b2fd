package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
)

// A row is one measured quantity.
type row struct {
	Row    string  `json:"row"`
	Unit   string  `json:"unit"` // us, ms, 1/s, KiB, n, x
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// A goal is one number of the design, section 12, and what was found.
type goal struct {
	Goal string `json:"goal"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

// A report gathers what a suite has found, in the order in which it is printed: all rows, then all goals.
type report struct {
	rows   []row
	goals  []goal
	redis  string // version of the server, where one was measured
	rounds int
}

// add takes a row; an empty sample was not measured and leaves none.
func (r *report) add(name, unit string, s sample) {
	if len(s) > 0 {
		r.rows = append(r.rows, row{name, unit, s.median(), s.low(), s.high()})
	}
}

// atMost takes a goal that the median shall not exceed. What was not measured was not reached.
func (r *report) atMost(name string, want float64, unit string, s sample) {
	r.judge(name, "<= ", want, unit, s, s.median() <= want)
}

// atLeast takes a goal that the median shall reach.
func (r *report) atLeast(name string, want float64, unit string, s sample) {
	r.judge(name, ">= ", want, unit, s, s.median() >= want)
}

func (r *report) judge(name, sign string, want float64, unit string, s sample, met bool) {
	got := "not measured"
	if len(s) > 0 {
		got = figure(s.median()) + " " + unit
	}
	r.goals = append(r.goals, goal{name, sign + figure(want) + " " + unit, got, met})
}

// figure prints a number with three digits that count.
func figure(f float64) string {
	if math.Abs(f) >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

// writeTable prints the report for people.
func (r *report) writeTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tunit\tmedian\tlow\thigh")
	for _, q := range r.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", q.Row, q.Unit, figure(q.Median), figure(q.Low), figure(q.High))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, g := range r.goals {
		met := "missed"
		if g.Met {
			met = "met"
		}
		fmt.Fprintf(w, "goal %s\twant %s\tgot %s\t%s\n", g.Goal, g.Want, g.Got, met)
	}
	return w.Flush()
}

// writeJSON prints the report for programs, one object a line. Fields only grow.
func (r *report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, q := range r.rows {
		if err := e.Encode(q); err != nil {
			return err
		}
	}
	for _, g := range r.goals {
		if err := e.Encode(g); err != nil {
			return err
		}
	}
	return nil
}
