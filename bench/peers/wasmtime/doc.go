// Command wasmtime runs tasks in wasmtime-go, driven by lines on its standard input (package line).
//
// Each task gets a new Store and a new instance, whose memory wasmtime maps copy-on-write from the module's image; a reactor's _initialize
// runs anew every time. Way "default" is wasmtime's default allocator, "pooling" its pooling allocator. Nothing limits time or fuel.
//
// A task is the direct call of the guest's exports: alloc(size) -> pointer, run(pointer, size) -> pointer<<32 | size. Payload and result do
// not go through WASI's fd 0 and 1, for which wasmtime-go knows only files: that would cost it more than the instance.
package main
