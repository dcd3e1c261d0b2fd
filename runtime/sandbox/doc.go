// Package sandbox runs a Wasm module on one task and says how that ended.
//
// It never touches a file, the network or the environment: what a guest can reach is what package host offers it. It trusts
// its caller that the module is the one that was verified; it checks only that the bytes have their digest.
//
// Load admits a module, once per digest: our reader bounds what wazero allocates by declared counts, drops custom sections (names and DWARF
// are never parsed) and gives every table a maximum; every import must be one that package host offers, with its signature, under a kind
// of capability that the manifest needs; the exports must be those of a command (_start) or a reactor (caisson_run). Then
// wazero validates and compiles. Compiled modules are kept, the least used dropped when none of its runs is going on.
//
// Run makes a fresh instance for every task, with a memory of its own that is unmapped after it: no byte of an earlier task
// is there to be seen. Manifests may say start = "template" or "each"; both mean this here. The outcome is typed:
//
//	p, err := s.Load(ctx, sandbox.Module{Digest: digest, Bytes: wasm, Needs: needs})
//	out := p.Run(ctx, sandbox.Job{ID: id, Tenant: tenant, Held: held, Limits: limits, Input: payload})
//	if out.Verdict == sandbox.Done { use(out.Output) }
//
// # Limits
//
// Memory, wall, CPU, result, log and calls end a run with "limit.*", by default or as the job says; see limits.go.
// What this engine does not bound, and the next one must:
//
//   - Time and memory of compiling. Modules of 100 KB exist that take wazero minutes. A compile cannot be cancelled; Load returns when its
//     context ends, the compile goes on, one at a time.
//   - A tree of calls without any loop (fib of 100, say) is not interrupted: wazero looks for the end of a run at loops and host calls only.
//     It holds its thread, and Go's garbage collector with it, until it returns, overflows its stack, or the process ends.
//     Likewise one memory.fill or memory.copy over gigabytes runs to its end.
//   - The stack: it ends at 50 MB (limit.stack) whatever limits.stack says, and is not part of limits.memory.
//   - CPU time is measured on Linux only; elsewhere the wall limit stands alone.
//   - Stopping at loops costs 2 to 10 times on loops, which is why this engine will be replaced.
package sandbox
