package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// A stock is wazero as its documentation shows it, with its own WASI.
type stock struct {
	ctx      context.Context
	runtime  wazero.Runtime
	deadline bool                             // WithCloseOnContextDone: without it, nothing ends a guest
	compiled map[string]wazero.CompiledModule // by the guest's bytes: ways share what is compiled
}

// stockTime is the deadline that each task gets where a deadline means anything.
const stockTime = time.Minute

type stockEngine struct{ plain, deadline *stock }

// newWazero opens both, with a compile cache in folder.
func newWazero(ctx context.Context, folder string) (e stockEngine, err error) {
	if e.plain, err = newStock(ctx, filepath.Join(folder, "plain"), false); err != nil {
		return e, err
	}
	e.deadline, err = newStock(ctx, filepath.Join(folder, "deadline"), true)
	return e, err
}

func newStock(ctx context.Context, folder string, deadline bool) (*stock, error) {
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithCloseOnContextDone(deadline)
	config, err := cached(config, folder)
	if err != nil {
		return nil, err
	}
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		return nil, err
	}
	return &stock{ctx, rt, deadline, map[string]wazero.CompiledModule{}}, nil
}

func (e stockEngine) ways() map[string]line.Way {
	return map[string]line.Way{
		"fresh":           e.plain.fresh,
		"fresh, deadline": e.deadline.fresh,
		"direct":          e.plain.direct,
		"works":           e.plain.works,
		"works, deadline": e.deadline.works,
	}
}

func (s *stock) compile(guest []byte) (wazero.CompiledModule, error) {
	if m := s.compiled[string(guest)]; m != nil {
		return m, nil
	}
	m, err := s.runtime.CompileModule(s.ctx, guest)
	if err == nil {
		s.compiled[string(guest)] = m
	}
	return m, err
}

// A pipe is fd 0 and 1 of tasks, one after the other.
type pipe struct {
	in  bytes.Reader
	out bytes.Buffer
}

// instantiate makes an instance and initialises it.
func (s *stock) instantiate(ctx context.Context, m wazero.CompiledModule, p *pipe) (api.Module, error) {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions(abi.ExportInitialize).
		WithStdin(&p.in).WithStdout(&p.out).WithRandSource(rand.Reader)
	return s.runtime.InstantiateModule(ctx, m, config)
}

// within gives the context of one task.
func (s *stock) within() (context.Context, context.CancelFunc) {
	if s.deadline {
		return context.WithTimeout(s.ctx, stockTime)
	}
	return s.ctx, func() {}
}

func enter(ctx context.Context, run api.Function) error {
	status, err := run.Call(ctx)
	if err == nil && status[0] != 0 {
		err = fmt.Errorf("status %d", status[0])
	}
	return err
}

// fresh makes an instance for each task and closes it.
func (s *stock) fresh(guest []byte) (line.Program, error) {
	m, err := s.compile(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		var p pipe
		return func(input []byte) ([]byte, error) {
			ctx, cancel := s.within()
			defer cancel()
			p.in.Reset(input)
			p.out.Reset()
			instance, err := s.instantiate(ctx, m, &p)
			if err != nil {
				return nil, err
			}
			defer instance.Close(s.ctx)
			err = enter(ctx, instance.ExportedFunction(abi.ExportRun))
			return p.out.Bytes(), err
		}, nil
	}, nil
}

// direct is as fresh, with a call of alloc and run in the place of WASI, as the wasmtime peer does it.
func (s *stock) direct(guest []byte) (line.Program, error) {
	m, err := s.compile(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		var p pipe
		var out []byte
		return func(input []byte) ([]byte, error) {
			instance, err := s.instantiate(s.ctx, m, &p)
			if err != nil {
				return nil, err
			}
			defer instance.Close(s.ctx)
			out, err = callDirect(s.ctx, instance, input, out[:0])
			return out, err
		}, nil
	}, nil
}

func callDirect(ctx context.Context, instance api.Module, input, out []byte) ([]byte, error) {
	pointer, err := instance.ExportedFunction("alloc").Call(ctx, uint64(len(input)))
	if err != nil {
		return nil, err
	}
	instance.Memory().Write(uint32(pointer[0]), input)
	result, err := instance.ExportedFunction("run").Call(ctx, pointer[0], uint64(len(input)))
	if err != nil {
		return nil, err
	}
	data, ok := instance.Memory().Read(uint32(result[0]>>32), uint32(result[0]))
	if !ok {
		return nil, errors.New("result out of bounds")
	}
	return append(out, data...), nil
}

// works calls the exports of the compute set in one instance that is never cleared: what is left is the guest's own work.
func (s *stock) works(guest []byte) (line.Program, error) {
	m, err := s.compile(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		instance, err := s.instantiate(s.ctx, m, new(pipe))
		if err != nil {
			return nil, err
		}
		exports := works{instance: instance}
		return func(input []byte) ([]byte, error) {
			ctx, cancel := s.within()
			defer cancel()
			return exports.call(ctx, input)
		}, nil
	}, nil
}
