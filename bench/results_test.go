package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSave keeps a report twice: the second does not touch the first. Without rows there is nothing to draw, so that this needs no module of others.
func TestSave(t *testing.T) {
	o := options{out: filepath.Join(t.TempDir(), "results"), begun: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), quick: true}
	r := &report{redis: "7.0.15", rounds: 3}
	r.atMost("unknown", 10, "ms", nil)
	for _, want := range []string{"2026-03-04-queue", "2026-03-04-queue-2"} {
		folder, err := save(t.Context(), "queue", o, r)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(folder) != want {
			t.Errorf("folder %q, want %q", folder, want)
		}
		for file, holds := range map[string]string{"table.txt": "goal unknown", "rows.jsonl": `{"goal":"unknown"`, "setting.json": `"redis": "7.0.15"`} {
			if got := contents(filepath.Join(folder, file)); !strings.Contains(got, holds) {
				t.Errorf("%s: %q does not hold %q", file, got, holds)
			}
		}
	}
}

// TestSettingIsAnonymous: results are published, and the name of a machine or a folder is nobody's business.
func TestSettingIsAnonymous(t *testing.T) {
	data, err := json.Marshal(describe(t.Context(), "queue", options{begun: time.Now()}, new(report)))
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	here, _ := os.Getwd()
	for _, word := range []string{host, here, os.TempDir()} {
		if len(word) > 3 && strings.Contains(string(data), word) {
			t.Errorf("%s holds %q", data, word)
		}
	}
	var s setting
	if err := json.Unmarshal(data, &s); err != nil || s.Cores < 1 || s.Go == "" || s.Took != 0 {
		t.Errorf("%+v, error %v", s, err)
	}
}
