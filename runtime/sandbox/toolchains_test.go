package sandbox_test

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// guestLimits are wide: these tests are about answers, and the machine may be busy.
var guestLimits = capability.Limits{Memory: 256 << 20, CPU: 20 * time.Second, Wall: time.Minute}

// runGuest runs p on input and returns how it ended and what it logged.
func runGuest(p *sandbox.Program, input string) (sandbox.Outcome, string) {
	var log strings.Builder
	out := p.Run(context.Background(), sandbox.Job{ID: "t", Tenant: "acme", Limits: guestLimits, Input: []byte(input),
		Log: func(_, line string) { log.WriteString(line + "\n") }})
	return out, log.String()
}

// A guestCase is one input and how the run on it ends.
type guestCase struct{ input, output, code string }

// check returns what the run used.
func (c guestCase) check(t *testing.T, p *sandbox.Program) sandbox.Usage {
	t.Helper()
	out, log := runGuest(p, c.input)
	if out.Code != c.code || string(out.Output) != c.output {
		t.Errorf("%.80q: %v %s %q, output %.80q, want code %q and output %.80q; log %.200q", c.input, out.Verdict, out.Code, out.Error, out.Output, c.code, c.output, log)
	}
	return out.Usage
}

// guestCases are what guesttest promises of each guest, whatever its toolchain.
var guestCases = map[string][]guestCase{
	"echo": {
		{input: "", output: ""},
		{input: "hello", output: "hello"},
		{input: strings.Repeat("a line of text\n", 10_000), output: strings.Repeat("a line of text\n", 10_000)},
	},
	"tiny": {
		{input: "", output: "ok 00\n"},
		{input: "seven b", output: "ok 07\n"},
		{input: strings.Repeat("x", 1000), output: "ok 64\n"},
	},
	"json": {
		{input: `{"A":1,"B":2}`, output: `{"Sum":3}`},
		{input: `{"A": -40, "B": 9000000000}`, output: `{"Sum":8999999960}`},
		{input: `{"A":1`, code: sandbox.CodeFailed},
	},
	"compute": {
		{input: "nothing 1", code: sandbox.CodeFailed},
	},
}

// testGuest runs the cases of one guest, and of the compute set those that it has, several times over: a run never finds the state that one before
// left, or json answers 70.
func testGuest(t *testing.T, name string) {
	p := load(t, sharedSandbox(t), module(guesttest.Build(t, name)))
	form := "command"
	if guesttest.Reactor(name) {
		form = "reactor"
	}
	if p.Facts().Form != form {
		t.Errorf("a %s, want a %s", p.Facts().Form, form)
	}
	_, guest, _ := strings.Cut(name, "/")
	cases := slices.Clone(guestCases[guest])
	for _, w := range guesttest.Works() {
		if slices.Contains(w.Guests, name) {
			cases = append(cases, guestCase{input: fmt.Sprintf("%s %d\n", w.Name, w.N), output: fmt.Sprint(w.Want)})
		}
	}
	if len(cases) == 0 {
		t.Fatalf("no case for the guest %q", guest)
	}
	fuel := map[string]int64{} // by input
	for i := range 3 {
		for _, c := range cases {
			used := c.check(t, p).Fuel
			if i == 0 {
				fuel[c.input] = used
			}
			if used <= 0 || used != fuel[c.input] && !asksForMore(name) {
				t.Errorf("%.80q: run %d used %d fuel, the first %d", c.input, i, used, fuel[c.input])
			}
		}
	}
}

// asksForMore reports whether the guest's way hangs on more than its input: the Go runtime draws random numbers at its start, which a command has in every
// run, and its garbage collector looks at the clock; a map of Rust is seeded with random numbers.
func asksForMore(name string) bool {
	return name == "go/echo" || name == "go/compute" || name == "rust/json"
}

// heavy reports whether wazero takes seconds to compile the guest, and ten times that under the race detector.
func heavy(name string) bool {
	return strings.HasPrefix(name, "go/") || strings.HasPrefix(name, "programs/")
}

func TestGuestsOfToolchains(t *testing.T) {
	names := slices.DeleteFunc(guesttest.Names(), heavy)
	for _, want := range []string{"as/tiny", "c/compute", "rust/json", "zig/echo", "zigcc/json"} {
		if !slices.Contains(names, want) {
			t.Errorf("no guest %s in %q", want, names)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { testGuest(t, name) })
	}
}

// TestHeavyGuests runs the guests that are large. What surrounds them is the same as for the small ones.
func TestHeavyGuests(t *testing.T) {
	if unraced(t) {
		return
	}
	for _, name := range slices.DeleteFunc(guesttest.Names(), func(name string) bool { return !heavy(name) }) {
		t.Run(name, func(t *testing.T) { testGuest(t, name) })
	}
	for _, name := range slices.Sorted(maps.Keys(programCases)) {
		t.Run(name, func(t *testing.T) { testProgram(t, name) })
	}
}

// programCases say how guesttest.Programs are run, on what, and what they must answer. cc1 is not among them: it runs well, but wazero takes a minute
// to compile it. The gate and the instrumenter read it in runtime/wasm.
var programCases = map[string]struct {
	args  []string
	input string
	check func(output []byte) error
}{
	"programs/esbuild": {
		args:  []string{"esbuild", "--loader=ts", "--minify"},
		input: "interface Point { x: number }\nconst double = (p: Point): number => p.x * 2;\nconsole.log(double({ x: 21 }));\n",
		check: contains("const double=n=>n.x*2;console.log(double({x:21}));\n"),
	},
	"programs/resvg": {
		args:  []string{"resvg", "--resources-dir", "/", "-", "-c"},
		input: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="8" fill="#ff0000"/></svg>`,
		check: redAbove,
	},
}

// testProgram runs a program of others as a command task, as it is: its arguments are the constants of a manifest.
func testProgram(t *testing.T, name string) {
	c := programCases[name]
	m := module(guesttest.Build(t, name))
	m.Args = c.args
	p := load(t, sharedSandbox(t), m)
	var first []byte
	for i := range 3 {
		out, log := runGuest(p, c.input)
		if out.Verdict != sandbox.Done {
			t.Fatalf("%v %s %q, log %.500q", out.Verdict, out.Code, out.Error, log)
		}
		if i == 0 {
			first = out.Output
			if err := c.check(first); err != nil {
				t.Error(err)
			}
		} else if !bytes.Equal(out.Output, first) {
			t.Errorf("run %d answered %.500q, the first %.500q", i, out.Output, first)
		}
	}
}

// contains wants each text in the output, in this order.
func contains(texts ...string) func(output []byte) error {
	return func(output []byte) error {
		rest := string(output)
		for _, text := range texts {
			_, after, found := strings.Cut(rest, text)
			if !found {
				return fmt.Errorf("no %q in %.2000q", text, output)
			}
			rest = after
		}
		return nil
	}
}

// redAbove wants a PNG whose upper half is red and whose lower half is clear.
func redAbove(output []byte) error {
	picture, err := png.Decode(bytes.NewReader(output))
	if err != nil {
		return fmt.Errorf("%w in %.100q", err, output)
	}
	if above := color.NRGBAModel.Convert(picture.At(8, 3)); above != (color.NRGBA{R: 255, A: 255}) {
		return fmt.Errorf("the upper half is %v", above)
	}
	if below := color.NRGBAModel.Convert(picture.At(8, 12)); below != (color.NRGBA{}) {
		return fmt.Errorf("the lower half is %v", below)
	}
	return nil
}

// TestTasksOfThePages: each task in C, Rust, AssemblyScript and Zig that the documentation shows is built by the command in its first line, which is one of
// guesttest's, and works; what reports progress is heard.
func TestTasksOfThePages(t *testing.T) {
	languages := map[string]string{"c": "c", "rust": "rust", "ts": "as", "zig": "zig"} // fence to toolchain
	fence := regexp.MustCompile("(?ms)^```(\\w+)\n(// .*?)^```$")
	shown := map[string]int{}
	for _, page := range []string{"reference/task-contract.md", "guide/other-languages.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fence.FindAllSubmatch(text, -1) {
			language, source := languages[string(block[1])], block[2]
			t.Run(page+"/"+language, func(t *testing.T) {
				line, _, _ := strings.Cut(strings.TrimPrefix(string(source), "// "), "\n")
				reactor := bytes.Contains(source, []byte("caisson_run"))
				if want := guesttest.Command(language, "upper", reactor); line != want {
					t.Fatalf("the page says\n%s, want\n%s", line, want)
				}
				checkUpper(t, language, reactor, source)
				if language == "c" {
					checkUpper(t, "zigcc", reactor, source)
				}
			})
			shown[language]++
		}
		if line := guesttest.Command("zigcc", "upper", false); page == "guide/other-languages.md" && !bytes.Contains(text, []byte(line)) {
			t.Errorf("%s does not say %s", page, line)
		}
	}
	if want := map[string]int{"c": 3, "rust": 3, "as": 2, "zig": 2}; !maps.Equal(shown, want) {
		t.Errorf("the pages show %v, want %v", shown, want)
	}
}

func checkUpper(t *testing.T, language string, reactor bool, source []byte) {
	t.Helper()
	wasm, err := guesttest.Source(t.Context(), language, "upper", reactor, source)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(source, []byte("progress_write")) {
		guestCase{input: "hello, sandbox\n", output: "HELLO, SANDBOX\n"}.check(t, load(t, sharedSandbox(t), module(wasm)))
		return
	}
	var said []string
	out := load(t, sharedSandbox(t), module(wasm, "progress")).Run(t.Context(), sandbox.Job{
		ID: "t", Tenant: "acme", Held: hold(t, "progress"), Limits: guestLimits, Input: []byte("hello, sandbox\n"),
		Progress: func(text string) { said = append(said, text) },
	})
	if string(out.Output) != "HELLO, SANDBOX\n" || !slices.Equal(said, []string{"line 1"}) {
		t.Errorf("%v %s %q, output %.80q, progress %q", out.Verdict, out.Code, out.Error, out.Output, said)
	}
}
