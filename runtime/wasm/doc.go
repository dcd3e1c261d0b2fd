// Package wasm reads untrusted WebAssembly modules and writes them anew for the sandbox: the gate and the instrumenter.
//
// It imports nothing of this module and knows no engine.
package wasm
