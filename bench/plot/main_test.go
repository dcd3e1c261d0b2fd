package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictures draws rows of each kind and looks for their names.
func TestPictures(t *testing.T) {
	in := `{"row":"drain floor: batch 16, 8 consumers","unit":"1/s","median":119000,"low":100000,"high":130000}
{"row":"drain caisson tiny: 16 at a time","unit":"1/s","median":30000,"low":29000,"high":33000}
{"row":"drain caisson tiny: 16 at a time, 5 ms away","unit":"1/s","median":3000,"low":2900,"high":3300}
{"row":"round trip caisson: p50","unit":"ms","median":0.8,"low":0.7,"high":0.9}
{"row":"round trip caisson: p95","unit":"ms","median":1.8,"low":0.7,"high":1.9}
{"goal":"faster","want":">= 3 x","got":"4 x","met":true}
`
	folder := t.TempDir()
	if err := run(strings.NewReader(in), folder); err != nil {
		t.Fatal(err)
	}
	for file, names := range map[string][2]string{ // has, has not
		"drain.svg":          {"caisson tiny: 16 at a time<", "away"},
		"drain-settings.svg": {"5 ms away", "floor"},
		"round-trip.svg":     {">caisson<", "p95"},
	} {
		svg, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(svg), names[0]) || strings.Contains(string(svg), names[1]) {
			t.Errorf("%s: has no %q, or %q\n%.3000s", file, names[0], names[1], svg)
		}
	}
	if made, _ := filepath.Glob(filepath.Join(folder, "*")); len(made) != 3 {
		t.Errorf("made %q", made)
	}
}

func TestNoRows(t *testing.T) {
	for _, in := range []string{"", "x\n", `{"row":"drain a","unit":"1/s","median":0}` + "\n"} {
		if err := run(strings.NewReader(in), t.TempDir()); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}
