package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(words) }

func main() { guest.Main() }

// Count is the result of the task, and what the step after it gets.
type Count struct {
	Words int            `json:"words"`
	Top   map[string]int `json:"top"` // the most frequent words and how often each stood, topMax at most
}

// words takes what a step of a plan may be given: a text, one result or several.
func words(_ context.Context, input json.RawMessage) (Count, error) {
	var text string
	if json.Unmarshal(input, &text) == nil {
		return count(text), nil
	}
	var one Count
	if json.Unmarshal(input, &one) == nil {
		return one, nil
	}
	var several []Count
	if json.Unmarshal(input, &several) == nil {
		return together(several), nil
	}
	return Count{}, guest.Fail(errors.New("words: the input is no text, no result of this task, and no list of them"))
}

// count counts the words of a text.
func count(text string) Count {
	c := Count{Top: map[string]int{}}
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if word = strings.Trim(word, ".,;:!?\"'()"); word != "" {
			c.Words++
			c.Top[word]++
		}
	}
	c.cut()
	return c
}

// together puts several counts into one.
func together(several []Count) Count {
	all := Count{Top: map[string]int{}}
	for _, one := range several {
		all.Words += one.Words
		for word, n := range one.Top {
			all.Top[word] += n
		}
	}
	all.cut()
	return all
}

// cut keeps the most frequent words, of equals the first by name.
func (c *Count) cut() {
	sorted := slices.SortedFunc(maps.Keys(c.Top), func(a, b string) int {
		return cmp.Or(c.Top[b]-c.Top[a], strings.Compare(a, b))
	})
	for _, word := range sorted[min(len(sorted), topMax):] {
		delete(c.Top, word)
	}
}
