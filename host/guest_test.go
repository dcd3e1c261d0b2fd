package host_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Before any request, because net/http reads them once.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Setenv(name, "http://127.0.0.1:1")
	}
	status := m.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// A guest is an instance that calls any function of the host with any numbers.
type guest struct {
	*testing.T
	ctx  context.Context
	host *host.Host
	run  *host.Run
	mod  api.Module
	log  *[]string
}

// allFunctions is every import that a guest may have.
func allFunctions(tb testing.TB, h *host.Host) []wrapped {
	var list []wrapped
	for _, f := range abi.Imports() {
		list = append(list, wrapped{module: abi.Module, name: f.Name})
	}
	for _, name := range strings.Fields(wasiNames) {
		list = append(list, wrapped{module: abi.WASI, name: name})
	}
	for i := range list {
		f, ok := h.Function(list[i].module, list[i].name)
		if !ok {
			tb.Fatalf("%s is not known", list[i].name)
		}
		list[i].params, list[i].results = f.Params, f.Results
	}
	return list
}

// wasiNames is all of preview 1, typed in from its documentation.
const wasiNames = `args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate fd_close
fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread
fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory
path_filestat_get path_filestat_set_times path_link path_open path_readlink path_remove_directory path_rename path_symlink
path_unlink_file poll_oneoff proc_exit proc_raise sched_yield random_get sock_accept sock_recv sock_send sock_shutdown`

// newGuest instantiates the wrapper of every function that c's host offers. The KV is a kvMap when c has none.
func newGuest(t *testing.T, hc host.Config, rc host.RunConfig, withMemory bool) *guest {
	t.Helper()
	if hc.KV == nil {
		hc.KV = newKV()
	}
	h, err := host.New(hc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	// Without WithCloseOnContextDone: the host alone must end a guest whose context has ended.
	rt := wazero.NewRuntime(ctx)
	t.Cleanup(func() { rt.Close(ctx); h.Close() })
	if err := h.Install(ctx, rt); err != nil {
		t.Fatal(err)
	}
	g := &guest{T: t, host: h, log: new([]string)}
	g.mod, err = rt.InstantiateWithConfig(ctx, wrapperModule(allFunctions(t, h), withMemory), wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	g.again(rc)
	return g
}

// again begins another run in the same instance.
func (g *guest) again(rc host.RunConfig) {
	if rc.Log == nil {
		rc.Log = func(level, line string) { *g.log = append(*g.log, level+": "+line) }
	}
	g.run = g.host.Begin(rc)
	g.run.Enter()
	g.ctx = g.run.Context(context.Background())
}

// call calls a function and returns its result; err is set when the guest was ended.
func (g *guest) call(name string, params ...uint64) (int32, error) {
	g.Helper()
	f := g.mod.ExportedFunction(name)
	if f == nil {
		g.Fatalf("%s is not there", name)
	}
	results, err := f.Call(g.ctx, params...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return int32(results[0]), nil
}

// must is call for a guest that lives on.
func (g *guest) must(name string, params ...uint64) int32 {
	g.Helper()
	code, err := g.call(name, params...)
	if err != nil {
		g.Fatalf("%s ended the guest: %v", name, err)
	}
	return code
}

// ends is call for a guest that is ended by it.
func (g *guest) ends(kind host.EndingKind, code string, name string, params ...uint64) host.Ending {
	g.Helper()
	if _, err := g.call(name, params...); err == nil {
		g.Fatalf("%s did not end the guest", name)
	}
	e := g.run.Ending()
	if e.Kind != kind || e.Code != code {
		g.Errorf("%s ended with %+v, want %d %q", name, e, kind, code)
	}
	return e
}

func (g *guest) put(ptr uint32, b []byte) {
	g.Helper()
	if !g.mod.Memory().Write(ptr, b) {
		g.Fatal("outside of memory")
	}
}

func (g *guest) get(ptr, n uint32) []byte {
	g.Helper()
	b, ok := g.mod.Memory().Read(ptr, n)
	if !ok {
		g.Fatal("outside of memory")
	}
	return b
}

func (g *guest) u32(ptr uint32) uint32 {
	v, _ := g.mod.Memory().ReadUint32Le(ptr)
	return v
}

// ask makes a capability call with fields and returns its code, or the fields of the answer.
func (g *guest) ask(name string, fields ...string) (int32, []string) {
	g.Helper()
	var in [][]byte
	for _, f := range fields {
		in = append(in, []byte(f))
	}
	request := host.AppendFrame(nil, in)
	g.put(0, request)
	n := g.must(name, 0, uint64(len(request)))
	if n <= 0 {
		return n, nil
	}
	if got := g.must(abi.AnswerRead, 0, 1<<16); got != n {
		g.Fatalf("answer_read gave %d, want %d", got, n)
	}
	out, ok := host.ReadFrame(g.get(0, uint32(n)))
	if !ok {
		g.Fatal("the answer is no frame")
	}
	var answer []string
	for _, f := range out {
		answer = append(answer, string(f))
	}
	return n, answer
}

func hold(tb testing.TB, lines ...string) capability.Held {
	tb.Helper()
	set, err := capability.ParseSet(lines)
	if err != nil {
		tb.Fatal(err)
	}
	held, err := capability.Hold(set, set, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return held
}

// A kvMap is a host.KV in memory, one map of all tenants.
type kvMap struct {
	values map[string]string
	ttl    time.Duration
	err    error
}

func newKV() *kvMap { return &kvMap{values: map[string]string{}} }

func (k *kvMap) Get(_ context.Context, tenant, key string) ([]byte, bool, error) {
	v, ok := k.values[tenant+" "+key]
	return []byte(v), ok, k.err
}

func (k *kvMap) Put(_ context.Context, tenant, key string, value []byte, ttl time.Duration) error {
	k.values[tenant+" "+key], k.ttl = string(value), ttl
	return k.err
}

func (k *kvMap) Delete(_ context.Context, tenant, key string) error {
	delete(k.values, tenant+" "+key)
	return k.err
}

func (k *kvMap) List(_ context.Context, tenant, prefix, after string, max int) ([]string, error) {
	var keys []string
	for i := range max + 5 { // more than asked for: the host cuts
		keys = append(keys, fmt.Sprint(prefix, after, i))
	}
	return keys, k.err
}
