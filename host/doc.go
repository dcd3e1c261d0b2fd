// Package host turns the calls of a guest into acts of the worker, each asked for authority first.
//
// It never opens a file, reads the worker's environment, follows a redirect, uses a proxy, or gives a guest a pointer into
// the worker. It never calls the guest back.
//
// Two import modules are offered (Install puts both into a wazero runtime):
//
//   - "caisson", the functions of package abi. Those that use a capability are acts (Act): Want says which capability a
//     request needs, the registry asks capability.Held.Check, and only then Do runs. An act has no other way to run, so a guard cannot be
//     forgotten.
//   - "wasi_snapshot_preview1", a shim of our own: args and env are the manifest's constants, clocks are coarse unless
//     "clock fine" is held, random_get is fresh, fd 0 is the payload, fd 1 the result or a log, fd 2 a log, poll_oneoff sleeps as long as the
//     run may live. There are no preopened directories; every other function of preview 1 exists and answers EBADF, ENOTCAPABLE or ENOSYS.
//
// All state of a guest is in its Run, which travels in the context of the call (Run.Context): wazero makes one host module for all
// guests of a runtime and gives a host function only that context and the calling module. State kept anywhere else
// would outlive the task.
//
// Pointers and lengths from a guest are judged as 32-bit numbers against its memory before anything is allocated;
// what does not fit is answered with a code. Requests are copied out, answers copied in. A limit that is spent
// ends the guest (Run.Ending says which); so does a panic in a host function, whose text goes to the worker's log only.
//
//	h, err := host.New(host.Config{KV: store})
//	run := h.Begin(host.RunConfig{Tenant: "acme", Held: held, Limits: limits, Input: payload})
//	// instance made and initialised with run.Context(ctx)
//	run.Enter()
//	... call the guest with run.Context(ctx) ...
//	run.Finish()
//
// Bounds are in limits.go and abi/limits.go.
package host
