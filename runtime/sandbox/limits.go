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

// Bounds on admission in a child process. A standard-Go guest of 3.6 MB takes 2 s of CPU and 100 MiB; modules of 20 to 100 KB exist that would take
// minutes or gigabytes. So the base is what no honest small module comes near, and the rest grows with the module, with a factor of
// some ten for slow machines.
const (
	admitMemory       = 512 << 20 // beyond what the program itself has at its start
	admitMemoryPerMiB = 256 << 20
	admitMemoryMax    = 4 << 30
	admitCPU          = 10 * time.Second
	admitCPUPerMiB    = 6 * time.Second
	admitCPUMax       = 5 * time.Minute
	admitWallFactor   = 4 // a machine that is busy gives the child a part of its time only
	// artifactSizeMax bounds an encoded artifact: machine code takes some four times its module.
	artifactSizeMax = 512 << 20
	// refusalSizeMax bounds a refusal that a child gives, admitDirMax the path it is given, stderrMax what of its stderr is looked at, all in bytes.
	refusalSizeMax = 16 << 10
	admitDirMax    = 4 << 10
	stderrMax      = 1 << 10
	// readStep is what is allocated for a length before its bytes are there.
	readStep = 64 << 10
	// childWaitDelay is how long a child that was killed may take to be gone from its pipes.
	childWaitDelay = 5 * time.Second
	// childFiles bounds its open files: it needs its streams, the compiler's file, and what Go itself opens.
	childFiles = 64
	// childNiceness lets tasks that run go first.
	childNiceness = 5
)

// Bounds on the compile cache.
const (
	// cacheSizeMax is what all entries take together; a standard-Go guest takes some 20 MB.
	cacheSizeMax = 2 << 30
	// cacheLocks is the number of lock files. Two modules that share one are admitted one after the other.
	cacheLocks = 64
	// lockWaitMin and lockWaitMax are how often a lock that another holds is tried: file locks cannot be waited for with an end.
	lockWaitMin = 5 * time.Millisecond
	lockWaitMax = 100 * time.Millisecond
	// unfinishedAge is when a file that is being written was surely given up.
	unfinishedAge = time.Hour
)
