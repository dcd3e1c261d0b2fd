package manifest_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/envelope"
)

// TestPage holds the reference to the code: its example parses, its table of keys says the defaults
// and ranges that hold, its faults are the faults, and it names every code.
func TestPage(t *testing.T) {
	b, err := os.ReadFile("../docs/reference/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	_, rest, _ := strings.Cut(page, "```toml\n")
	example, _, ok := strings.Cut(rest, "```")
	if _, err := manifest.Parse("task.toml", []byte(example)); err != nil || !ok {
		t.Errorf("the example: %v", err)
	}
	size := func(n int64) string { return strconv.Quote(strict.Size(n).String()) }
	span := func(d time.Duration) string { return strconv.Quote(strict.Duration(d).String()) }
	rows := map[string][3]string{
		"task": {"none"}, "module": {"none"}, "start": {strconv.Quote(string(manifest.StartTemplate))}, "args": {"[]"}, "env": {"{}"},
		"limits.memory":    {size(manifest.MemoryDefault), size(manifest.MemoryMin), size(manifest.MemoryMax)},
		"limits.stack":     {size(manifest.StackDefault), size(manifest.StackMin), size(manifest.StackMax)},
		"limits.result":    {size(manifest.ResultDefault), size(manifest.ResultMin), size(manifest.ResultMax)},
		"limits.log":       {size(manifest.LogDefault), size(manifest.LogMin), size(manifest.LogMax)},
		"limits.log_lines": {fmt.Sprint(manifest.LogLinesDefault), fmt.Sprint(manifest.LogLinesMin), fmt.Sprint(manifest.LogLinesMax)},
		"limits.payload":   {size(manifest.PayloadDefault), size(manifest.PayloadMin), size(manifest.PayloadMax)},
		"limits.calls":     {fmt.Sprint(manifest.CallsDefault), fmt.Sprint(manifest.CallsMin), fmt.Sprint(manifest.CallsMax)},
		"limits.fuel":      {fmt.Sprint(manifest.FuelDefault), fmt.Sprint(manifest.FuelMin), fmt.Sprint(manifest.FuelMax)},
		"limits.tables":    {fmt.Sprint(manifest.TablesDefault), fmt.Sprint(manifest.TablesMin), fmt.Sprint(manifest.TablesMax)},
		"limits.wall":      {span(manifest.WallDefault), span(manifest.WallMin), span(manifest.WallMax)},
		"limits.cpu":       {span(manifest.CPUDefault), span(manifest.CPUMin), span(manifest.CPUMax)},
		"retry.max":        {fmt.Sprint(manifest.RetryMaxDefault), fmt.Sprint(manifest.RetryMaxMin), fmt.Sprint(manifest.RetryMaxMax)},
		"retry.backoff":    {strconv.Quote(string(manifest.BackoffExponential))},
		"retry.base":       {span(manifest.RetryBaseDefault), span(manifest.RetryBaseMin), span(manifest.RetryBaseMax)},
		"retry.cap":        {span(manifest.RetryCapDefault), span(manifest.RetryCapMin), span(manifest.RetryCapMax)},
		"needs.caps":       {"[]"},
	}
	_, keys, _ := strings.Cut(page, "## Keys")
	keys, powers, _ := strings.Cut(keys, "## Powers")
	found := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]*) \\| ([^|]*)\\| ([^|]*)\\| ").FindAllStringSubmatch(keys, -1) {
		want, ok := rows[row[1]]
		if !ok {
			t.Errorf("the page has a key %s, which there is not", row[1])
		}
		found++
		for i, cell := range row[2:] {
			if got := strings.Trim(cell, " `"); got != want[i] {
				t.Errorf("%s, column %d: the page says %s, the code %s", row[1], i+2, got, want[i])
			}
		}
	}
	if found != len(rows) {
		t.Errorf("the page has %d of %d keys", found, len(rows))
	}
	faults := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| column (\\d+): `([^`]+)` \\|$").FindAllStringSubmatch(powers, -1)
	if len(faults) != 5 {
		t.Errorf("the page has %d faults of lines", len(faults))
	}
	for _, row := range faults {
		_, err := capability.Parse(row[1])
		var fault *capability.SyntaxError
		if !errors.As(err, &fault) || strconv.Itoa(fault.Column) != row[2] || fault.Text != row[3] {
			t.Errorf("%s: %v", row[1], err)
		}
	}
	// The two rooms cannot see each other; a manifest that promised more than a message can carry
	// would be a promise nobody keeps.
	if manifest.PayloadMax != envelope.PayloadSizeMax {
		t.Errorf("a manifest allows payloads of %d bytes, a message carries %d", manifest.PayloadMax, envelope.PayloadSizeMax)
	}
	for _, code := range []string{manifest.CodeUnknown, manifest.CodeSignature, manifest.CodePublisher, manifest.CodeRollback, manifest.CodeDigest, manifest.CodeFormat} {
		if !strings.Contains(page, "| `"+code+"` |") {
			t.Errorf("the page does not name %s", code)
		}
	}
}

// TestPowersThatDoSomething: the reference says which powers have no calls behind them, and the guide to tasks says how to come to the others.
func TestPowersThatDoSomething(t *testing.T) {
	page, err := os.ReadFile("../docs/reference/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/guide/writing-tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	has := map[capability.Kind]bool{capability.Log: true} // needs no call of its own
	for _, i := range abi.Imports() {
		if has[capability.Kind(i.Kind)] = true; i.Kind != "" && !strings.Contains(string(guide), "needs `"+i.Kind) {
			t.Errorf("writing-tasks.md does not say what needs %s", i.Kind)
		}
	}
	var idle []string
	for _, k := range []capability.Kind{capability.Progress, capability.Clock, capability.HTTP, capability.KV, capability.Secret, capability.Enqueue, capability.Blob} {
		if !has[k] {
			idle = append(idle, "`"+string(k)+"`")
		}
	}
	last := len(idle) - 1
	if want := "Of these " + strings.Join(idle[:last], ", ") + " and " + idle[last] + " have their grammar but no calls behind them yet."; !strings.Contains(string(page), want) {
		t.Errorf("manifest.md does not say: %s", want)
	}
}

// TestSandboxPage holds the table of limits in docs/reference/sandbox.md to the defaults that there are.
func TestSandboxPage(t *testing.T) {
	b, err := os.ReadFile("../docs/reference/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	size := func(n int64) string {
		return strings.NewReplacer("KiB", " KiB", "MiB", " MiB").Replace(strict.Size(n).String())
	}
	grouped := func(n int64) string {
		text := strconv.FormatInt(n, 10)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	}
	span := func(d time.Duration) string { return strings.Replace(strict.Duration(d).String(), "s", " s", 1) }
	for _, row := range []string{
		"`memory` | " + size(manifest.MemoryDefault), "`tables` | " + grouped(manifest.TablesDefault), "`stack` | " + size(manifest.StackDefault),
		"`cpu` | " + span(manifest.CPUDefault), "`wall` | " + span(manifest.WallDefault), "`payload` | " + size(manifest.PayloadDefault),
		"`result` | " + size(manifest.ResultDefault), "`log`, `log_lines` | " + size(manifest.LogDefault) + ", " + grouped(manifest.LogLinesDefault),
		"`calls` | " + grouped(manifest.CallsDefault),
	} {
		if !strings.Contains(string(b), "\n| "+row+" | `limit.") {
			t.Errorf("sandbox.md has no row %s", row)
		}
	}
	if !strings.Contains(string(b), "| `fuel` | 10^15 |") || manifest.FuelDefault != 1e15 {
		t.Errorf("fuel is %d by default", int64(manifest.FuelDefault))
	}
}

// Names of tasks, queues and secrets have one grammar, written twice because the rooms are apart.
func TestNamesAreTheEnvelopes(t *testing.T) {
	names := []string{"", ".", "-", "a", "A", "9", "a.b", "a..b", "a.", ".a", "a-", "a_b", "a/b", "a\x00", "é", "a b", strings.Repeat("a", 64), strings.Repeat("a", 65)}
	for c := range 256 {
		names = append(names, string([]byte{byte(c)}), string([]byte{'a', byte(c)}))
	}
	for _, name := range names {
		ours, theirs := capability.CheckName("task", name), envelope.CheckName("task", name)
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%q: capability says %v, envelope %v", name, ours, theirs)
		}
	}
}
