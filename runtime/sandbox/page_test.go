package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSandboxPageNumbers holds what docs/reference/sandbox.md says of this package in numbers to what they are.
func TestSandboxPageNumbers(t *testing.T) {
	b, err := os.ReadFile("../../docs/reference/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(b)), " ")
	words := map[int]string{2: "two"}
	for _, want := range []string{
		fmt.Sprintf("take at most %d MiB together by default, and there are at most %d,%03d cells", idleMemoryDefault>>20, idleCellsAllMax/1000, idleCellsAllMax%1000),
		fmt.Sprintf("and beyond %d KiB not kept", stackKept>>10),
		fmt.Sprintf("lets %d guests run at once for each processor, of which %s compute", runningPerCPU, words[computingPerCPU]),
		fmt.Sprintf("a memory that stayed within %d KiB is not searched", comparedMax>>10),
		fmt.Sprintf("about every %d µs", tickAim.Microseconds()),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if checkRateDefault != 0.001 || !strings.Contains(page, "in a worker one in a thousand") {
		t.Errorf("%v of the restores are checked", checkRateDefault)
	}
}
