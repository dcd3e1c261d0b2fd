package sandbox_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/hashicorp/go-hclog"
)

// TestTraceHasNames: the worker's log names the functions of a guest that trapped, though what wazero ran has no names, and one import more.
func TestTraceHasNames(t *testing.T) {
	var log bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: &log})
	s := openConfig(t, host.Config{}, sandbox.Config{CheckRate: 1, Logger: logger})
	// caisson_run (function 1) calls function 2, which traps. 0 is imported.
	names := cat(str("name"), []byte{1}, str(string(cat([]byte{2, 1}, str("the_task"), []byte{2}, str("culprit")))))
	wasm := cat(header, section(1, []byte{0x60, 0, 1, 0x7f}, []byte("\x60\x02\x7f\x7f\x01\x7f")),
		section(2, cat(str("caisson"), str("result_write"), []byte{0, 1})), section(3, []byte{0}, []byte{0}),
		section(7, cat(str("caisson_run"), []byte{0, 1})), section(10, function("\x10\x02\x0b"), function("\x00\x0b")), cat([]byte{0}, str(string(names))))
	check(t, load(t, s, module(wasm)).Run(context.Background(), sandbox.Job{ID: "the-task"}), expect{sandbox.Retry, "task.trap", "", "unreachable"})
	text := log.String()
	inner, outer := strings.Index(text, "culprit"), strings.Index(text, "the_task")
	if inner < 0 || outer < inner || !strings.Contains(text, "task_id=the-task") {
		t.Errorf("the log has no trace: %s", text)
	}
}
