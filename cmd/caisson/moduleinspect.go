package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/wasm"
)

// entropyNote is what an author should know of a module that starts from a template.
const entropyNote = "with start = \"template\", what is drawn during _initialize repeats between tasks: seeds of maps and of math/rand"

// moduleInfo is what is shown of a module.
type moduleInfo struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
	Size   int    `json:"size_bytes"`
	sandbox.Inspection
	gateInfo
	Resume bool      `json:"resume"`      // exports caisson_resume
	Image  int64     `json:"image_bytes"` // what its cells begin from and share
	Empty  *emptyRun `json:"empty_run,omitempty"`
	Note   string    `json:"note,omitempty"`
}

// gateInfo is what the gate and the instrumenter say of a module.
type gateInfo struct {
	Tables         int      `json:"tables"`
	TableElements  int64    `json:"table_elements_min"` // of all tables
	Globals        int      `json:"globals"`
	DataSegments   int      `json:"data_segments"`
	CustomSections int      `json:"custom_sections"`
	Resettable     bool     `json:"resettable"`              // a cell can be restored after a task
	Kept           []string `json:"kept,omitempty"`          // else why not
	Metered        int      `json:"metered_bytes,omitempty"` // size as it is compiled
}

// readGate reads a module that a sandbox has admitted, so whatever it imports is known to be allowed.
func readGate(code []byte) (gateInfo, error) {
	m, err := wasm.Read(code, wasm.Rules{Import: func(string, string, wasm.FuncType) error { return nil }})
	if err != nil {
		return gateInfo{}, err
	}
	info := gateInfo{Tables: len(m.Tables), Globals: m.Globals, DataSegments: m.DataSegments, CustomSections: m.Customs}
	for _, t := range m.Tables {
		info.TableElements += int64(t.Min)
	}
	anew, err := m.Instrument(wasm.Options{MemoryPagesMax: 1 << 16, TableElementsMax: manifest.TablesDefault})
	if err != nil {
		return gateInfo{}, err
	}
	info.Resettable, info.Kept, info.Metered = anew.Resettable, anew.Kept, len(anew.Code)
	return info, nil
}

// emptyRun is a run on no input and without any capability.
type emptyRun struct {
	Outcome string    `json:"outcome"`
	Code    string    `json:"code,omitempty"`
	Error   string    `json:"error,omitempty"`
	Usage   usageInfo `json:"usage"`
}

func moduleInspectCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a module holds, imports and costs, and whether it can be a task",
		Long: `Reads the module as a worker would at admission, then runs it once: on an empty input, with the default limits and without
any capability. Exit status 3 when a worker would refuse it whatever its manifest says; how the run ends changes nothing.
Compiling a large module takes a minute, the first time; after 2 s stderr says so.`,
		Example: "  caisson module inspect thumbnail.wasm\n  caisson module inspect thumbnail.wasm --json",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			data, err := readModule(args[0])
			if err != nil {
				return err
			}
			info, err := inspectModule(c.Context(), args[0], data, true, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), info)
			}
			return printModule(c, info)
		},
	}
	jsonFlag(c, &asJSON, shape{"", moduleInfo{}})
	return c
}

// inspectModule reads a module in a sandbox that offers every capability, so that only the module decides, and with try runs
// it once. What a worker would refuse is refused here. Should it take a while, w hears of it.
func inspectModule(ctx context.Context, path string, data []byte, try bool, w io.Writer) (moduleInfo, error) {
	defer whileCompiling(w, path, data)()
	info := moduleInfo{File: path, Digest: manifest.Digest(sha256.Sum256(data)).String(), Size: len(data)}
	rights, err := host.New(host.Config{KV: newLocalValues()})
	if err != nil {
		return info, err
	}
	defer rights.Close()
	box, err := openAuthorSandbox(ctx, rights, w)
	if err != nil {
		return info, err
	}
	defer box.Close(context.WithoutCancel(ctx))
	if info.Inspection, err = box.Inspect(ctx, data); err != nil {
		return info, refusedByAdmission(path, err)
	}
	if info.gateInfo, err = readGate(data); err != nil {
		return info, refused(fmt.Errorf("%s: %w", path, err))
	}
	info.Resume = slices.Contains(info.Exports, abi.ExportResume)
	if info.Resettable && slices.Contains(info.Exports, abi.ExportInitialize) { // else _initialize runs for each task
		info.Note = entropyNote
		if info.Resume {
			info.Note += "; it exports " + abi.ExportResume + " to draw others"
		}
	}
	if !try {
		return info, nil
	}
	if info.Empty, err = runEmpty(ctx, box, data, info.Imports); err != nil {
		return info, refusedByAdmission(path, err)
	}
	info.Image = box.Stats().ImageSize
	return info, context.Cause(ctx)
}

// unusedNeeds is a line of needs for each kind of capability that an import can ask for.
func unusedNeeds() map[string]string {
	return map[string]string{
		abi.KindHTTP: "http GET https://none.example.com/*", abi.KindKV: "kv ro none", abi.KindClock: "clock fine", abi.KindProgress: "progress",
	}
}

// runEmpty runs a module once, on no input. Its manifest would need whatever it imports; it holds none of that.
func runEmpty(ctx context.Context, box *sandbox.Sandbox, code []byte, imports []sandbox.Imported) (*emptyRun, error) {
	unused := unusedNeeds()
	var lines []string
	for _, i := range imports {
		if line := unused[i.Needs]; line != "" {
			lines = append(lines, line)
			delete(unused, i.Needs)
		}
	}
	needs, err := capability.ParseSet(lines)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	program, err := box.Load(ctx, sandbox.Module{Digest: sha256.Sum256(code), Bytes: code, Needs: needs})
	if err != nil {
		return nil, err
	}
	o := program.Run(ctx, sandbox.Job{ID: "inspect", Tenant: localTenant})
	return &emptyRun{Outcome: outcomeWord(o.Verdict), Code: o.Code, Error: o.Error, Usage: describeUsage(o.Usage)}, nil
}

// refusedByAdmission makes a refusal of what a worker would refuse.
func refusedByAdmission(path string, err error) error {
	var admission *sandbox.AdmissionError
	if errors.As(err, &admission) {
		return refused(fmt.Errorf("%s: %s: %s", path, admission.Code(), admission.Text))
	}
	return err
}

func printModule(c *cobra.Command, info moduleInfo) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "module   %s\nsize     %d bytes, %d metered\nform     %s\n", info.Digest, info.Size, info.Metered, info.Form)
	fmt.Fprintf(w, "code     functions %d, globals %d, data segments %d, custom sections %d\n", info.Functions, info.Globals, info.DataSegments, info.CustomSections)
	fmt.Fprintf(w, "memory   %d bytes at least%s\ntables   %d with %d elements\n", info.MemoryMin, mostText(info.MemoryMax), info.Tables, info.TableElements)
	if info.Resettable {
		fmt.Fprint(w, "cells    restored after each task\n")
	}
	for _, why := range info.Kept {
		fmt.Fprintf(w, "cells    made anew for each task: %s\n", oneLine(why))
	}
	byNeed := slices.Clone(info.Imports) // what needs no capability comes first
	slices.SortStableFunc(byNeed, func(a, b sandbox.Imported) int { return strings.Compare(a.Needs, b.Needs) })
	for _, i := range byNeed {
		needs := ""
		if i.Needs != "" {
			needs = "   needs " + i.Needs
		}
		fmt.Fprintf(w, "import   %s.%s%s\n", i.Module, i.Name, needs)
	}
	for _, e := range info.Exports {
		fmt.Fprintf(w, "export   %s\n", e)
	}
	if r := info.Empty; r != nil {
		fmt.Fprintf(w, "empty    %s, %d fuel, %d bytes of memory, %d pages written\n", oneLine(endText(r.Outcome, r.Code, r.Error)), r.Usage.Fuel, r.Usage.Memory, r.Usage.Pages)
	}
	fmt.Fprintf(w, "image    %d bytes, shared by the cells of a tenant\n", info.Image)
	if info.Note != "" {
		fmt.Fprintf(w, "note     %s\n", info.Note)
	}
	_, err := fmt.Fprintf(w, "ok       %s\n", oneLine(info.File))
	return err
}

// endText says how a run ended within one line.
func endText(outcome, code, text string) string {
	if code != "" {
		outcome += " with " + code
	}
	if text != "" {
		outcome += " (" + text + ")"
	}
	return outcome
}

func mostText(most int64) string {
	if most == 0 {
		return ""
	}
	return fmt.Sprintf(", at most %d", most)
}
