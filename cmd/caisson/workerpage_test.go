package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestWorkerPage holds docs/reference/worker.md to workerFile: its example can be read as a worker.toml, and shows every
// key that there is. So does client.toml's in docs/reference/cli.md.
func TestWorkerPage(t *testing.T) {
	for name, into := range map[string]any{"worker.md": &workerFile{}, "cli.md": &clientFile{}} {
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", name))
		check(t, err)
		example := regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindSubmatch(page)
		if example == nil {
			t.Fatalf("%s has no example", name)
		}
		// Optional sections, and keys that stand for others, are comments in the example.
		text := regexp.MustCompile(`(?m)^# (\[[a-z]+\]|[a-z_]+ += )`).ReplaceAll(example[1], []byte("$1"))
		file, err := strict.Decode(name, text, into)
		if err != nil {
			t.Errorf("the example of %s cannot be read:\n%v", name, err)
		}
		for _, key := range tomlKeys(reflect.TypeOf(into).Elem(), "") {
			// [kv] has the keys of [redis], and the page says so instead of repeating them.
			if !strings.HasPrefix(key, "kv.") && !file.Has(key) {
				t.Errorf("%s does not show %s", name, key)
			}
		}
	}
}

// TestFairnessGuide reads the part of worker.toml that the guide shows.
func TestFairnessGuide(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide", "fairness-and-limits.md"))
	check(t, err)
	shown := regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindAllSubmatch(page, -1)
	var file workerFile
	if _, err := strict.Decode("worker.toml", shown[1][1], &file); err != nil || file.Limits != (limitsSection{Tenant: 8, Task: 4}) {
		t.Errorf("%+v, %v", file.Limits, err)
	}
}

// TestWorkerPageDefaults compares the defaults that the example states with those that are used.
func TestWorkerPageDefaults(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "worker.md"))
	check(t, err)
	for _, want := range []string{
		`queues      = ["default"]`, `policy      = "policy.toml"`, `key         = "worker.key"`, `state       = "` + stateDefault + `"`,
		`address = "` + httpAddressDefault + `"`, `"` + httpOff + `" for none`, `cache = "` + stateDefault + "/" + cacheDefault + `"`, `level  = "info"`, `format = "text"`,
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("worker.md does not say %s", want)
		}
	}
}

// TestDrainNone: "0s" in the file means that nothing is waited for, and no drain at all means the default.
func TestDrainNone(t *testing.T) {
	for set, want := range map[bool]time.Duration{true: runtime.DrainNone, false: 0} {
		if got := (&workerSettings{drainSet: set}).runtimeConfig().Drain; got != want {
			t.Errorf("set %v: drain %v, want %v", set, got, want)
		}
	}
}

// TestCheckOfSandbox: without the key the sandbox's default holds, 0 means that nothing is checked, and what is no part of anything is a fault.
func TestCheckOfSandbox(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "check = 0.25": 0.25, "check = 1": 1, "check = 0": sandbox.CheckNever, "check = 0.0": sandbox.CheckNever} {
		s := &workerSettings{}
		file, err := strict.Decode("worker.toml", []byte("[sandbox]\n"+text+"\n"), &s.file)
		check(t, err)
		s.checkSandbox(file)
		if got := s.sandboxConfig(nil).CheckRate; got != want || file.Err() != nil {
			t.Errorf("%q: %v, %v, want %v", text, got, file.Err(), want)
		}
	}
	for _, text := range []string{"check = 1.5", "check = -1"} {
		s := &workerSettings{}
		file, err := strict.Decode("worker.toml", []byte("[sandbox]\n"+text+"\n"), &s.file)
		check(t, err)
		if s.checkSandbox(file); file.Err() == nil || !strings.Contains(file.Err().Error(), "sandbox.check: ") || !strings.Contains(file.Err().Error(), "is not from 0 to 1") {
			t.Errorf("%q: %v", text, file.Err())
		}
	}
}

// tomlKeys are all keys of a settings struct, with those of its sections.
func tomlKeys(t reflect.Type, under string) []string {
	var keys []string
	for field := range t.Fields() {
		key := under + field.Tag.Get("toml")
		keys = append(keys, key)
		inner := field.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, tomlKeys(inner, key+".")...)
		}
	}
	return keys
}
