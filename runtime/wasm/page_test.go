package wasm

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// grouped writes a number as pages do.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// TestSandboxPage holds the bounds on a module in docs/reference/sandbox.md to those that there are.
func TestSandboxPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, most := range map[string][]int{
		"functions, imported ones among them":                    {functionsMax},
		"imports; exports":                                       {importsMax, exportsMax},
		"types; parameters or results of one":                    {typesMax, paramsMax},
		"locals of one function; of all":                         {localsMax, localsAllMax},
		"labels of one br_table":                                 {labelsMax},
		"blocks nested in one function":                          {blocksMax},
		"globals":                                                {globalsMax},
		"tables; elements of one from the start":                 {tablesMax, tableElementsMax},
		"segments of data; of elements; elements of one segment": {segmentsMax, segmentsMax, segmentElementsMax},
	} {
		var numbers []string
		for _, n := range most {
			numbers = append(numbers, grouped(n))
		}
		if row := "\n| " + what + " | " + strings.Join(numbers, "; ") + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("the page has no row %q", row)
		}
	}
	for _, want := range []string{
		"\n| size | " + strconv.Itoa(moduleSizeMax>>20) + " MiB |\n", "\n| one function's body | " + grouped(bodySizeMax) + " bytes |\n",
		"\n| names | " + grouped(nameSizeMax) + " bytes |\n", "once for each loop that it is in | " + grouped(mergesMax) + ", else `module.costly` |\n",
		"a call costs " + strconv.Itoa(callUnits) + ", an indirect one " + strconv.Itoa(callIndirectUnits) + ";",
		"Functions of at most " + strconv.Itoa(smallUnits) + " units", "besides, for " + strconv.Itoa(growUnits) + " units",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
