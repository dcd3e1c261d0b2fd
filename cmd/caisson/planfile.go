package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/sdk/ask"
	"github.com/caisson-run/caisson/sdk/client"
)

// planFile is a plan's TOML. Source: docs/reference/plan.md.
type planFile struct {
	Within strict.Duration `toml:"within"`
	Queue  string          `toml:"queue"`
	Steps  []planStep      `toml:"step"`
}

type planStep struct {
	ask.Entry
	Name  string   `toml:"name"`
	After []string `toml:"after"`
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
	if bad := ask.NameFault(text); bad != "" {
		r.fault(key, "%s", bad)
	}
}

// step makes one of its entry.
func (r *planReader) step(at string, e planStep) client.Step {
	r.name(at+".name", e.Name)
	a := e.Read(r.file, at, func(path string) ([]byte, error) { return readFile(r.base.path(path), inputFileMax) })
	return client.Step{Name: e.Name, After: e.After, Task: client.Task{
		Name: a.Task, Payload: a.Payload, ContentType: a.ContentType, Module: a.Module, Narrowed: a.Narrowed, Caps: a.Caps,
		Attempts: a.Attempts, Limits: a.Limits, Priority: client.Priority(a.Priority.String()),
	}}
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
