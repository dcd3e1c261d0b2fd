package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(report) }

func main() { guest.Main() }

// Summary is the result of the task.
type Summary struct {
	Rows    int      `json:"rows"`
	Columns []Column `json:"columns"`
}

// Column is what can be said of one column.
type Column struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind"` // "number" when each filled cell is one and their sum is finite, "text", or "empty"
	Filled int       `json:"filled"`
	Number *Number   `json:"number,omitempty"`
	Top    []Counted `json:"top,omitempty"`  // the most frequent texts, most frequent first
	More   bool      `json:"more,omitempty"` // there were more different texts than are counted
}

// Number sums up a column of numbers.
type Number struct {
	Sum  float64 `json:"sum"`
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// Counted is a text and how often it stood in the column.
type Counted struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

// report reads the table line by line, so its memory does not grow with the rows.
func report(_ context.Context, input []byte) (Summary, error) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(input, []byte("\ufeff"))))
	reader.ReuseRecord = true
	names, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return Summary{}, guest.Fail(errors.New("report: the table has no header line"))
	}
	if err != nil {
		return Summary{}, guest.Fail(fmt.Errorf("report: %w", err))
	}
	if len(names) > columnsMax {
		return Summary{}, guest.Fail(fmt.Errorf("report: %d columns are more than %d", len(names), columnsMax))
	}
	tallies := make([]tally, len(names))
	for i, name := range names {
		tallies[i] = tally{name: strings.Clone(name), numeric: true, min: math.Inf(1), max: math.Inf(-1), texts: map[string]int{}}
	}
	var summary Summary
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Summary{}, guest.Fail(fmt.Errorf("report: %w", err))
		}
		summary.Rows++
		for i, cell := range cells {
			tallies[i].add(strings.TrimSpace(cell))
		}
	}
	for i := range tallies {
		summary.Columns = append(summary.Columns, tallies[i].column())
	}
	guest.Log.Info("table read", "rows", summary.Rows, "columns", len(summary.Columns))
	return summary, nil
}

// A tally is a column while it is read.
type tally struct {
	name          string
	filled        int
	numeric       bool
	sum, min, max float64
	texts         map[string]int
	more          bool
}

func (t *tally) add(cell string) {
	if cell == "" {
		return
	}
	t.filled++
	if t.numeric {
		n, err := strconv.ParseFloat(cell, 64)
		// "NaN" and "inf" parse, but they are words here, and JSON could not hold what they sum to.
		t.numeric = err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
		t.sum, t.min, t.max = t.sum+n, min(t.min, n), max(t.max, n)
	}
	if _, known := t.texts[cell]; known || len(t.texts) < distinctMax {
		t.texts[cell]++
	} else {
		t.more = true
	}
}

func (t *tally) column() Column {
	c := Column{Name: t.name, Kind: "text", Filled: t.filled}
	switch {
	case t.filled == 0:
		c.Kind = "empty"
		return c
	case t.numeric && !math.IsInf(t.sum, 0):
		c.Kind = "number"
		c.Number = &Number{Sum: t.sum, Mean: t.sum / float64(t.filled), Min: t.min, Max: t.max}
		return c
	}
	for text, count := range t.texts {
		c.Top = append(c.Top, Counted{text, count})
	}
	// By text where counts are equal, so that the same table always gives the same report.
	slices.SortFunc(c.Top, func(a, b Counted) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Text, b.Text)
	})
	c.Top = c.Top[:min(len(c.Top), topMax)]
	c.More = t.more
	return c
}
