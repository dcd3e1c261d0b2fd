package host_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
)

// TestContractPage: docs/reference/task-contract.md names every import with its kind, every code with its number, and every bound.
func TestContractPage(t *testing.T) {
	b, err := os.ReadFile("../docs/reference/task-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	var want []string
	for _, m := range abi.Imports() {
		params := map[int]string{2: "ptr, len", 3: "level, ptr, len"}[m.Params]
		row := fmt.Sprintf("| `%s(%s)` | ", m.Name, params)
		if m.Kind != "" {
			row += "`" + m.Kind + "` "
		}
		want = append(want, row+"|")
	}
	for name, code := range map[string]abi.Code{"Denied": abi.Denied, "NotFound": abi.NotFound, "Invalid": abi.Invalid, "TooLarge": abi.TooLarge, "Limit": abi.Limit,
		"Unavailable": abi.Unavailable, "Timeout": abi.Timeout, "TooSmall": abi.TooSmall, "Quota": abi.Quota} {
		want = append(want, fmt.Sprintf("| %s | %d |", name, code))
	}
	for what, bound := range map[string]int{"request frame": abi.RequestSizeMax, "answer frame": abi.AnswerSizeMax, "fields of a frame": abi.FieldsMax,
		"body of an HTTP answer, decompressed": abi.HTTPBodySizeMax, "header lines of an HTTP request or answer": abi.HTTPHeadersMax, "kv key": abi.KVKeySizeMax,
		"kv value": abi.KVValueSizeMax, "keys of one list": abi.KVListMax, "error text": abi.ErrorSizeMax, "report of progress": abi.ProgressSizeMax, "log line": abi.LogLineSizeMax} {
		want = append(want, fmt.Sprintf("| %s | %d", what, bound))
	}
	for _, s := range want {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, name := range strings.Fields(wasiNames) {
		family, _, _ := strings.Cut(name, "_")
		if !strings.Contains(page, "`"+name+"`") && family != "path" && family != "sock" && family != "fd" {
			t.Errorf("the page lacks %s", name)
		}
	}
}
