// Package sandbox runs a Wasm module on one task and says how that ended.
//
// It never touches the network or the environment, and of files only the folder of compiled modules that it is given: what a guest can reach
// is what package host offers it. It trusts its caller that the module is the one that was verified; it checks only that the bytes have their digest.
//
// Load admits a module, once per digest: package wasm reads it to its last instruction and writes it anew, metered (the gate and the instrumenter); every
// import must be one that package host offers, with its signature, under a kind of capability that the manifest needs; the exports must be those of
// a command (_start) or a reactor (caisson_run). Then wazero validates and compiles, in a process of its own if Config.Admit names one. What came out is kept in
// memory, the least used dropped when none of its runs is going on, and on disk if Config.CacheDir names a folder.
//
// Run runs a task in a cell. The first task of a module for a tenant makes a template: memory and globals after the module's data were laid out and, with start
// = "template", _initialize has run. A cell's memory is a private mapping of that image. After a task that returned or exited, the pages that it wrote
// are copied back, the globals are set, and the cell waits for the next task; any other cell is dropped, and another is built while nobody waits. Cells are never
// shared between tenants, modules, or constants of the manifest. The outcome is typed:
//
//	p, err := s.Load(ctx, sandbox.Module{Digest: digest, Bytes: wasm, Needs: needs})
//	out := p.Run(ctx, sandbox.Job{ID: id, Tenant: tenant, Held: held, Limits: limits, Input: payload})
//	if out.Verdict == sandbox.Done { use(out.Output) }
//
// # Limits
//
// Every limit of capability.Limits ends a run with its "limit.*", by default or as the job says; see limits.go. Guest code calls the
// tick (meter.go) whenever a slice of its fuel is spent, about every 100 microseconds, whatever it does; there, fuel, deadline, CPU time and cancellation are looked at, and
// Go's scheduler and garbage collector get their turn, which cannot interrupt compiled guest code.
//
// What is not bounded, or not as one might think:
//
//   - The stack by its true bytes: what a frame takes is estimated before it is compiled. What slips through ends at wazero's own 50 MB.
//   - CPU time outside of Linux by a clock of the thread: it counts as wall time there, which is never less.
//   - A fault of the engine. A guest that gets out of its memory is in this process.
//
// What holds on which system, for users: docs/reference/sandbox.md.
package sandbox
