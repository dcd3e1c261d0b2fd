package sandbox

import (
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

// pageSize is the unit of linear memory.
const pageSize = 64 << 10

const (
	// memoryMax is the most linear memory that a run can be given: all of 32 bits but one page, because wazero takes a memory of exactly 4 GiB for one of 0 bytes.
	memoryMax = 1<<32 - pageSize
	// wallMax bounds limits.wall, so that the clock arithmetic of a run cannot overflow.
	wallMax = 24 * time.Hour
	// modulesMax bounds the compiled modules kept; a worker has tens of tasks, and a compiled Go guest takes some 20 MiB.
	modulesMax = 64
	// closeTime bounds how long Close waits for runs that it has told to end; see doc.go for what can outlive it.
	closeTime = 10 * time.Second
	// errorLineMax bounds the text of a trap, in bytes.
	errorLineMax = 256
	// traceSizeMax bounds the Wasm stack trace that goes to the worker's log, in bytes.
	traceSizeMax = 4 << 10
)

// Bounds on a module, so that what wazero allocates by declared counts is a small multiple of its size. They are those that browsers
// agreed on, where these have one, and otherwise some ten times what the largest guests of ours need.
// Source: https://webassembly.github.io/spec/js-api/#limits
const (
	moduleSizeMax      = 64 << 20
	typesMax           = 100_000
	paramsMax          = 1_000 // parameters or results of one type
	importsMax         = 1_000
	functionsMax       = 200_000
	tablesMax          = 8
	tableElementsMax   = 1 << 18 // 8 bytes each: 2 MiB a table
	memoriesMax        = 1
	globalsMax         = 10_000
	exportsMax         = 20_000
	segmentsMax        = 200_000 // a standard-Go guest has 36,000 data segments
	segmentElementsMax = 1 << 18
	bodySizeMax        = 7_654_321
	localGroupsMax     = 50_000
	localsMax          = 50_000    // of one function
	localsAllMax       = 4_000_000 // of all
	nameSizeMax        = 10_000
)

// limitsDefault is what a run gets for a limit that its job does not state. They equal the defaults of a manifest.
var limitsDefault = capability.Limits{
	Memory:   64 << 20,
	Result:   1 << 20,
	Log:      256 << 10,
	LogLines: 1000,
	Wall:     5 * time.Second,
	CPU:      2 * time.Second,
	Calls:    1000,
}

// withDefaults fills what is not stated, and cuts what this package cannot give.
func withDefaults(l capability.Limits) capability.Limits {
	fill := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	fill(&l.Memory, limitsDefault.Memory)
	fill(&l.Result, limitsDefault.Result)
	fill(&l.Log, limitsDefault.Log)
	fill(&l.LogLines, limitsDefault.LogLines)
	fill(&l.Calls, limitsDefault.Calls)
	fill((*int64)(&l.Wall), int64(limitsDefault.Wall))
	fill((*int64)(&l.CPU), int64(limitsDefault.CPU))
	l.Memory = min(l.Memory, memoryMax)
	l.Wall = min(l.Wall, wallMax)
	return l
}
