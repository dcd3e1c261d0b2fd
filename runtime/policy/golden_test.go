package policy_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/policy"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares text with a committed file; go test -update writes it.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text == string(want) {
		return
	}
	got, wanted := strings.Split(text, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(wanted)) {
		a, b := at(got, i), at(wanted, i)
		if a != b {
			t.Errorf("%s:%d:\n got  %s\n want %s", file, i+1, a, b)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no line)"
}

// TestRolesByActs holds every role of testdata/roles.toml against every act. The committed table is the
// specification: a change of meaning shows as a change of a row.
func TestRolesByActs(t *testing.T) {
	data, err := os.ReadFile("testdata/roles.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, string(data))
	roles := []string{"compute", "images", "thumbs", "mail", "images+thumbs"}
	queues := []string{"media", "slow", "other"}
	tasks := []string{"image", "image.thumbnail", "image.thumbnail.small", "images.a", "csv.report", "mail.send"}
	caps := []string{
		"log", "progress", "clock fine",
		"http GET https://img.example.com/a/b.png", "http POST https://img.example.com/a/b.png", "http GET http://img.example.com/a",
		"http GET https://evil.example.com/a", "http POST https://mail.example.com/v1/send", "http POST https://mail.example.com/v1/send/all",
		"kv ro thumbs/1", "kv wo thumbs/1", "kv rw thumbs/1", "kv ro thumbs", "kv ro payroll/ceo",
		"blob ro pictures/1", "blob wo pictures/1",
		"secret use mail-api", "secret read mail-api", "secret use img-api",
		"enqueue slow csv.report", "enqueue slow csv.other", "enqueue media csv.report",
	}
	var b strings.Builder
	b.WriteString("# Every role of roles.toml against every act: may it be sent, and may it hold the power?\n")
	b.WriteString("# yes, no, or - where the task itself is refused. Written by go test -update; read each change of it.\n")
	fmt.Fprintf(&b, "%-7s %-22s %-46s", "queue", "task", "act")
	for _, r := range roles {
		fmt.Fprintf(&b, " %-13s", r)
	}
	for _, q := range queues {
		for _, k := range tasks {
			for _, act := range append([]string{""}, caps...) {
				name := act
				if act == "" {
					name = "send"
				}
				fmt.Fprintf(&b, "\n%-7s %-22s %-46s", q, k, name)
				for _, r := range roles {
					fmt.Fprintf(&b, " %-13s", may(t, p, r, q, k, act))
				}
			}
		}
	}
	text := b.String()
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	golden(t, "testdata/roles.txt", strings.Join(lines, "\n")+"\n")
}

// may asks the policy whether the principal of a role may send a task, or, with an act, hold that power in it.
func may(t *testing.T, p *policy.Policy, role, queue, name, act string) string {
	t.Helper()
	k := task()
	k.Queue, k.Task = queue, name
	a, err := p.Authorize(verified(t, k, submitKey(t, role)), noon)
	if err != nil {
		if code(t, err) != policy.CodeDenied {
			t.Errorf("%s %s %s: %v", role, queue, name, err)
		}
		return map[bool]string{true: "no", false: "-"}[act == ""]
	}
	if act != "" {
		if _, err := a.Hold(set(t, act)); err != nil {
			if code(t, err) != "capability.shortfall" {
				t.Errorf("%s %s %s %s: %v", role, queue, name, act, err)
			}
			return "no"
		}
	}
	return "yes"
}
