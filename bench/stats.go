package main

import (
	"math"
	"slices"
)

// A sample is one number per round, in the order of the rounds, or one per event.
type sample []float64

// quantile returns the smallest number that at least the share q of the sample does not exceed. NaN for an empty sample.
func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// median returns the middle number, of an even count the mean of both middle ones. NaN for an empty sample.
func (s sample) median() float64 {
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (s sample) low() float64  { return s.quantile(0) }
func (s sample) high() float64 { return s.quantile(1) }

// over divides round by round. Samples of different lengths, or empty ones, were not taken in the same rounds and give no ratio.
func (s sample) over(t sample) sample {
	if len(s) != len(t) {
		return nil
	}
	ratio := make(sample, len(s))
	for i := range s {
		ratio[i] = s[i] / t[i]
	}
	return ratio
}

// best takes the smallest of each round. A sample that is missing takes no part.
func best(samples ...sample) (lowest sample) {
	for _, s := range samples {
		switch {
		case len(lowest) == 0:
			lowest = slices.Clone(s)
		case len(s) == len(lowest):
			for i := range s {
				lowest[i] = min(lowest[i], s[i])
			}
		}
	}
	return lowest
}

// geometricMean takes the mean of each round, over samples of the same rounds. One that is missing leaves no mean: it would be of another set.
func geometricMean(samples []sample) sample {
	if len(samples) == 0 {
		return nil
	}
	mean := make(sample, len(samples[0]))
	for _, s := range samples {
		if len(s) != len(mean) {
			return nil
		}
		for i := range s {
			mean[i] += math.Log(s[i]) / float64(len(samples))
		}
	}
	for i := range mean {
		mean[i] = math.Exp(mean[i])
	}
	return mean
}

// p99 is the 99th percentile, as a sample of its own.
func (s sample) p99() sample {
	if len(s) == 0 {
		return nil
	}
	return sample{s.quantile(0.99)}
}

// highest is the largest number, as a sample of its own, for a goal that no round may miss.
func (s sample) highest() sample {
	if len(s) == 0 {
		return nil
	}
	return sample{s.high()}
}
