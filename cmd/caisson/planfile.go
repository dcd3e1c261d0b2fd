package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// planFile is a plan's TOML. Source: docs/reference/plan.md.
type planFile struct {
	Within strict.Duration `toml:"within"`
	Queue  string          `toml:"queue"`
	Steps  []planStep      `toml:"step"`
}

type planStep struct {
	Name     string    `toml:"name"`
	Task     string    `toml:"task"`
	After    []string  `toml:"after"`
	Input    string    `toml:"input"`
	File     string    `toml:"file"`
	Module   string    `toml:"module"`
	Caps     *[]string `toml:"caps"`
	Attempts int       `toml:"attempts"`
	Priority string    `toml:"priority"`
	Limits   struct {
		Memory strict.Size     `toml:"memory"`
		Stack  strict.Size     `toml:"stack"`
		Result strict.Size     `toml:"result"`
		Wall   strict.Duration `toml:"wall"`
		CPU    strict.Duration `toml:"cpu"`
		Calls  int64           `toml:"calls"`
	} `toml:"limits"`
}

// planReader judges one file.
type planReader struct {
	file *strict.File
	base folder
}

// readPlan reads a plan and the files that it names, relative to it; every fault of it at once.
func readPlan(path string) (client.Plan, *planReader, error) {
	var v planFile
	file, base, err := decodeFile(path, &v)
	if errors.Is(err, os.ErrNotExist) {
		err = &hintError{fmt.Errorf("%s: no such file", path), "docs/reference/plan.md says what is in a plan"}
	}
	if err != nil {
		return client.Plan{}, nil, err
	}
	r := &planReader{file, base}
	p := client.Plan{Within: time.Duration(v.Within), Queue: v.Queue}
	if v.Queue != "" {
		r.name("queue", v.Queue)
	}
	for i, s := range v.Steps {
		p.Steps = append(p.Steps, r.step(fmt.Sprintf("step[%d]", i), s))
	}
	r.blame(p.Check(), p)
	return p, r, misused(file.Err())
}

// fault adds one, unless there is one at that key already.
func (r *planReader) fault(key, format string, args ...any) {
	if !r.file.Faulty(key) {
		r.file.Fault(key, format, args...)
	}
}

func (r *planReader) name(key, text string) {
	if bad := checkName(key, text); bad != "" {
		r.fault(key, "%s", bad)
	}
}

// step makes one of its entry.
func (r *planReader) step(at string, e planStep) client.Step {
	r.name(at+".name", e.Name)
	r.name(at+".task", e.Task)
	l := e.Limits
	t := client.Task{
		Name: e.Task, Attempts: e.Attempts, Priority: client.Priority(e.Priority),
		Limits: envelope.Limits{
			Memory: int64(l.Memory), Stack: int64(l.Stack), Result: int64(l.Result),
			Wall: time.Duration(l.Wall), CPU: time.Duration(l.CPU), Calls: l.Calls,
		},
	}
	switch t.Priority {
	case "", client.High, client.Normal, client.Low:
	default:
		r.fault(at+".priority", "%q is none of high, normal, low", e.Priority)
	}
	if e.Module != "" {
		digest, err := envelope.ParseDigest(e.Module)
		if err != nil {
			r.fault(at+".module", "%v", err)
		}
		t.Module = digest
	}
	if e.Caps != nil {
		t.Narrowed, t.Caps = true, *e.Caps
	}
	for i, line := range t.Caps {
		if _, err := capability.Parse(line); err != nil {
			r.fault(fmt.Sprintf("%s.caps[%d]", at, i), "%v", err)
		}
	}
	t.Payload, t.ContentType = r.input(at, e)
	return client.Step{Name: e.Name, Task: t, After: e.After}
}

// input returns the payload that a step gives itself, or names the file of.
func (r *planReader) input(at string, e planStep) ([]byte, string) {
	switch {
	case e.Input != "" && e.File != "":
		r.fault(at+".file", "is given beside input")
	case e.Input != "":
		if !json.Valid([]byte(e.Input)) {
			r.fault(at+".input", "is not JSON; other data goes into a file")
		}
		return []byte(e.Input), "application/json"
	case e.File != "":
		data, err := readFile(r.base.path(e.File), inputFileMax)
		if err != nil {
			r.fault(at+".file", "%v", err)
		}
		if utf8.Valid(data) && json.Valid(data) {
			return data, "application/json"
		}
		return data, "application/octet-stream"
	}
	return nil, ""
}

// blame puts what the client says of p where it stands in the file. Names were judged already.
func (r *planReader) blame(err error, p client.Plan) {
	if err == nil {
		return
	}
	at := map[string]string{}
	for i, s := range p.Steps {
		at[s.Name] = fmt.Sprintf("step[%d]", i)
	}
	for _, err := range each(err) {
		var plan *client.PlanError
		var task *client.TaskError
		switch {
		case errors.As(err, &plan) && plan.Step == "":
			r.fault("", "%s", plan.Text)
		case errors.As(err, &plan) && strings.HasPrefix(plan.Text, "is the name"):
			r.fault(at[plan.Step]+".name", "%s", plan.Text)
		case errors.As(err, &plan) && at[plan.Step] != "" && !strings.HasPrefix(plan.Text, "name "):
			r.file.Fault(at[plan.Step]+".after", "%s", plan.Text) // several of one step are several faults
		case errors.As(err, &task):
			r.fault(fmt.Sprintf("step[%d]", task.Index), "%v", task.Err)
		case !errors.As(err, &plan):
			r.fault("", "%v", err)
		}
	}
}

// signPlan signs p as read from a file: what the envelope does not take is a fault of the file, too.
func (r *planReader) sign(c *client.Client, p client.Plan) (client.PlanReceipt, error) {
	receipt, err := c.SignPlan(p)
	if err != nil {
		r.blame(err, p)
		return receipt, misused(r.file.Err())
	}
	return receipt, nil
}
