package schedule_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/sdk/schedule"
)

func readNothing(path string) ([]byte, error) { return nil, fmt.Errorf("%s: no such file", path) }

func TestParse(t *testing.T) {
	set, err := schedule.Parse("schedule.toml", []byte(`
zone = "Europe/Berlin"
[[schedule]]
name = "nightly"
task = "report.daily"
cron = "30 2 * * *"
file = "in.json"
[[schedule]]
name = "beat"
task = "beat"
every = "10s"
caps = []
priority = "high"
limits = { wall = "5s", memory = "1MiB" }
`), func(path string) ([]byte, error) { return []byte(`{"from":"` + path + `"}`), nil })
	if err != nil {
		t.Fatal(err)
	}
	nightly, beat := set[0].Entry(), set[1].Entry()
	if nightly.Zone != "Europe/Berlin" || string(nightly.Payload) != `{"from":"in.json"}` || nightly.ContentType != "application/json" ||
		nightly.Missed != schedule.One || nightly.Narrowed {
		t.Errorf("nightly %+v", nightly)
	}
	if beat.Every != 10*time.Second || !beat.Narrowed || beat.Priority != 0 || beat.Limits.Wall != 5*time.Second || beat.Limits.Memory != 1<<20 || beat.Zone != "" {
		t.Errorf("beat %+v", beat)
	}
}

// Every fault of a file comes at once, each with its place.
func TestParseFaults(t *testing.T) {
	_, err := schedule.Parse("schedule.toml", []byte(`zone = "Berlin"
[[schedule]]
name = "a"
task = "A"
cron = "61 * * * *"
missed = "some"
[[schedule]]
name = "a"
every = "1h"
input = "{"
file = "x"
priority = "soon"
module = "sha256:1"
[[schedule]]
name = "c"
task = "c"
colour = 1
[[schedule]]
name = "d"
task = "d"
every = "100ms"
file = "gone.json"
[schedule.limits]
calls = -1
`), readNothing)
	want := strings.TrimSpace(`
schedule.toml:1:1: zone: is not a known time zone; want an IANA name such as "Europe/Berlin"
schedule.toml:4:1: schedule[0].task: "A" does not begin with a-z or 0-9
schedule.toml:5:1: schedule[0].cron: end of range (61) above maximum (59): 61
schedule.toml:6:1: schedule[0].missed: "some" is none of skip, one, all
schedule.toml:7:3: schedule[1].task: is missing
schedule.toml:8:1: schedule[1].name: "a" is the name of another, in line 3
schedule.toml:11:1: schedule[1].file: is given beside input
schedule.toml:12:1: schedule[1].priority: "soon" is none of high, normal, low
schedule.toml:13:1: schedule[1].module: has 1 characters, want 64 hexadecimal digits
schedule.toml:17:1: schedule[2].colour: unknown key
schedule.toml:21:1: schedule[3].every: is not whole seconds from 1s to 744h0m0s
schedule.toml:22:1: schedule[3].file: gone.json: no such file`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	for text, want := range map[string]string{
		"":              "schedule.toml:1:1: has no [[schedule]]",
		"[[schedule]\n": "schedule.toml:1:",
		"[[schedule]]\ntask='a'\nevery='1h'\ninput='{'": "schedule.toml:1:3: schedule[0].name: is missing\nschedule.toml:4:1: schedule[0].input: is not JSON",
	} {
		_, err := schedule.Parse("schedule.toml", []byte(text), readNothing)
		var faults strict.Faults
		if !errors.As(err, &faults) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	many := strings.Repeat("[[schedule]]\nname='a'\n", schedule.SchedulesMax+1)
	if _, err := schedule.Parse("schedule.toml", []byte(many), readNothing); err == nil || !strings.Contains(err.Error(), "at most 1000") {
		t.Errorf("too many: %v", err)
	}
}

// Each block of TOML in the pages about schedules is a file that Parse takes.
func TestPages(t *testing.T) {
	for _, path := range []string{"../../docs/reference/schedule.md", "../../docs/guide/schedules.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(page), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s has no TOML", path)
		}
		for _, block := range blocks {
			text, _, _ := strings.Cut(block, "```")
			if _, err := schedule.Parse(path, []byte(text), func(string) ([]byte, error) { return []byte("{}"), nil }); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}
