package main

// wasmtime's C interface has the pooling allocator, its Go interface does not: so these three functions are declared by hand, and the C
// pointer inside of wasmtime.Config is taken out. The linker finds them in the library that wasmtime-go brings along.

// #cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
// typedef struct config config;
// typedef struct pool pool;
// extern pool *wasmtime_pooling_allocation_config_new(void);
// extern void wasmtime_pooling_allocation_config_delete(pool *);
// extern void wasmtime_pooling_allocation_strategy_set(config *, const pool *);
import "C"

import (
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v37"
)

// setPooling makes config use the pooling allocator with its default sizes (1,000 instances).
func setPooling(config *wasmtime.Config) {
	pool := C.wasmtime_pooling_allocation_config_new()
	defer C.wasmtime_pooling_allocation_config_delete(pool)
	C.wasmtime_pooling_allocation_strategy_set(*(**C.config)(unsafe.Pointer(config)), pool)
}
