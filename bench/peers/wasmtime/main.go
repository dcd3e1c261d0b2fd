package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bytecodealliance/wasmtime-go/v37"
	"github.com/caisson-run/caisson/bench/peers/line"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wasmtime FOLDER (of its compile cache)")
		os.Exit(2)
	}
	ways := map[string]line.Way{
		"default": func(guest []byte) (line.Program, error) { return load(wasmtime.NewConfig(), guest) },
		"pooling": func(guest []byte) (line.Program, error) {
			config := wasmtime.NewConfig()
			setPooling(config)
			return load(config, guest)
		},
	}
	if err := line.Serve(os.Stdin, os.Stdout, ways, nil); err != nil {
		fmt.Fprintln(os.Stderr, "wasmtime:", err)
		os.Exit(1)
	}
}

func load(config *wasmtime.Config, guest []byte) (line.Program, error) {
	if err := setCache(config, os.Args[1]); err != nil {
		return nil, err
	}
	engine := wasmtime.NewEngineWithConfig(config)
	module, err := wasmtime.NewModule(engine, guest)
	if err != nil {
		return nil, err
	}
	linker := wasmtime.NewLinker(engine)
	if err := linker.DefineWasi(); err != nil {
		return nil, err
	}
	p := program{engine, linker, module, len(module.Imports()) > 0}
	return func() (line.Worker, error) {
		var out []byte
		return func(input []byte) ([]byte, error) {
			var err error
			out, err = p.runFresh(input, out[:0])
			return out, err
		}, nil
	}, nil
}

// A program is a module with what its instances need.
type program struct {
	engine *wasmtime.Engine
	linker *wasmtime.Linker
	module *wasmtime.Module
	wasi   bool // it imports something, which can only be WASI
}

// setCache has wasmtime keep what it compiles in folder.
func setCache(config *wasmtime.Config, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	settings := filepath.Join(folder, "cache.toml")
	if err := os.WriteFile(settings, fmt.Appendf(nil, "[cache]\ndirectory = %q\n", folder), 0o600); err != nil {
		return err
	}
	return config.CacheConfigLoad(settings)
}

// runFresh runs one task in a new store and appends its result to out.
func (p *program) runFresh(input, out []byte) ([]byte, error) {
	store := wasmtime.NewStore(p.engine)
	defer store.Close()
	if p.wasi {
		store.SetWasi(wasmtime.NewWasiConfig())
	}
	instance, err := p.linker.Instantiate(store, p.module)
	if err != nil {
		return nil, err
	}
	if initialize := instance.GetFunc(store, "_initialize"); initialize != nil {
		if _, err := initialize.Call(store); err != nil {
			return nil, err
		}
	}
	pointer, err := call(instance, store, "alloc", int32(len(input)))
	if err != nil {
		return nil, err
	}
	memory := instance.GetExport(store, "memory").Memory()
	copy(memory.UnsafeData(store)[uint32(pointer):], input)
	result, err := call(instance, store, "run", int32(pointer), int32(len(input)))
	if err != nil {
		return nil, err
	}
	at, size := uint64(result)>>32, uint64(uint32(result))
	data := memory.UnsafeData(store) // again: the memory may have grown, and moved
	if at+size > uint64(len(data)) {
		return nil, errors.New("result out of bounds")
	}
	return append(out, data[at:at+size]...), nil
}

func call(instance *wasmtime.Instance, store *wasmtime.Store, name string, args ...any) (int64, error) {
	f := instance.GetFunc(store, name)
	if f == nil {
		return 0, fmt.Errorf("the guest does not export %s", name)
	}
	result, err := f.Call(store, args...)
	if err != nil {
		return 0, err
	}
	switch n := result.(type) {
	case int32:
		return int64(uint32(n)), nil
	case int64:
		return n, nil
	}
	return 0, fmt.Errorf("%s returned %T", name, result)
}
