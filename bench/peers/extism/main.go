package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/caisson-run/caisson/bench/peers/line"
	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: extism FOLDER (of its compile cache)")
		os.Exit(2)
	}
	ways := map[string]line.Way{"fresh": fresh, "reused": reused}
	if err := line.Serve(os.Stdin, os.Stdout, ways, nil); err != nil {
		fmt.Fprintln(os.Stderr, "extism:", err)
		os.Exit(1)
	}
}

// compiled are the plugins by their guest's bytes: both ways share them.
var compiled = map[string]*extism.CompiledPlugin{}

// compile makes a plugin whose instances have WASI.
func compile(guest []byte) (*extism.CompiledPlugin, error) {
	if plugin := compiled[string(guest)]; plugin != nil {
		return plugin, nil
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: guest}}}
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(os.Args[1], strconv.Itoa(len(compiled)))) // each runtime has its own
	if err != nil {
		return nil, err
	}
	config := extism.PluginConfig{EnableWasi: true, RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(cache)}
	plugin, err := extism.NewCompiledPlugin(context.Background(), manifest, config, nil)
	if err == nil {
		compiled[string(guest)] = plugin
	}
	return plugin, err
}

// streams are fd 0 and 1 of one worker's tasks, one after the other.
type streams struct {
	in  bytes.Reader
	out bytes.Buffer
}

func (s *streams) instance(plugin *extism.CompiledPlugin) (*extism.Plugin, error) {
	config := wazero.NewModuleConfig().WithStdin(&s.in).WithStdout(&s.out).WithRandSource(rand.Reader)
	return plugin.Instance(context.Background(), extism.PluginInstanceConfig{ModuleConfig: config})
}

func (s *streams) run(instance *extism.Plugin, input []byte) ([]byte, error) {
	s.in.Reset(input)
	s.out.Reset()
	if status, _, err := instance.Call("caisson_run", nil); err != nil || status != 0 {
		return nil, fmt.Errorf("status %d: %v", status, err)
	}
	return s.out.Bytes(), nil
}

func fresh(guest []byte) (line.Program, error) {
	plugin, err := compile(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		var s streams
		return func(input []byte) ([]byte, error) {
			instance, err := s.instance(plugin)
			if err != nil {
				return nil, err
			}
			defer instance.Close(context.Background())
			return s.run(instance, input)
		}, nil
	}, nil
}

func reused(guest []byte) (line.Program, error) {
	plugin, err := compile(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		s := new(streams)
		instance, err := s.instance(plugin)
		if err != nil {
			return nil, err
		}
		return func(input []byte) ([]byte, error) { return s.run(instance, input) }, nil
	}, nil
}
