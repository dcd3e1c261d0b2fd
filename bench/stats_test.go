package main

import (
	"math"
	"slices"
	"testing"
)

func TestSample(t *testing.T) {
	for _, row := range []struct {
		name              string
		s                 sample
		median, low, high float64
		p99               float64
	}{
		{"one", sample{3}, 3, 3, 3, 3},
		{"odd, unsorted", sample{9, 1, 5}, 5, 1, 9, 9},
		{"even", sample{4, 1, 2, 10}, 3, 1, 10, 10},
		{"a hundred", count(100), 50.5, 1, 100, 99},
		{"two hundred", count(200), 100.5, 1, 200, 198},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := slices.Clone(row.s)
			got := []float64{row.s.median(), row.s.low(), row.s.high(), row.s.quantile(0.99)}
			if want := []float64{row.median, row.low, row.high, row.p99}; !slices.Equal(got, want) {
				t.Errorf("median, low, high, p99 = %v, want %v", got, want)
			}
			if !slices.Equal(before, row.s) {
				t.Error("the order of the rounds is lost")
			}
		})
	}
	if s := (sample{}); !math.IsNaN(s.median()) || !math.IsNaN(s.quantile(0.5)) || s.highest() != nil {
		t.Error("an empty sample has numbers")
	}
	if h := (sample{2, 7, 3}).highest(); !slices.Equal(h, sample{7}) {
		t.Errorf("highest %v", h)
	}
}

// count is 1 to n.
func count(n int) (s sample) {
	for i := range n {
		s = append(s, float64(i+1))
	}
	return s
}

// TestRatiosAreTakenByRound: a noisy round that hits both leaves the ratio as it was, which a ratio of medians would not.
func TestRatiosAreTakenByRound(t *testing.T) {
	ratio := (sample{10, 200, 30}).over(sample{1, 20, 3})
	if !slices.Equal(ratio, sample{10, 10, 10}) {
		t.Errorf("ratio %v", ratio)
	}
	if r := (sample{1, 2}).over(sample{1}); r != nil {
		t.Errorf("a ratio of different rounds: %v", r)
	}
	if r := (sample{1}).over(nil); r != nil {
		t.Errorf("a ratio to nothing: %v", r)
	}
}

func TestBest(t *testing.T) {
	a, b := sample{1, 5, 3}, sample{2, 4, 3}
	if got := best(nil, a, b); !slices.Equal(got, sample{1, 4, 3}) {
		t.Errorf("best %v", got)
	}
	if !slices.Equal(a, sample{1, 5, 3}) {
		t.Error("an argument was changed")
	}
	if got := best(nil, nil); got != nil {
		t.Errorf("best of nothing: %v", got)
	}
}

func TestGeometricMean(t *testing.T) {
	got := geometricMean([]sample{{1, 8}, {4, 2}})
	if len(got) != 2 || math.Abs(got[0]-2) > 1e-12 || math.Abs(got[1]-4) > 1e-12 {
		t.Errorf("mean %v", got)
	}
	if got := geometricMean([]sample{{1, 2}, nil}); got != nil {
		t.Errorf("a mean without one of its parts: %v", got)
	}
	if got := geometricMean(nil); got != nil {
		t.Errorf("a mean of nothing: %v", got)
	}
}
