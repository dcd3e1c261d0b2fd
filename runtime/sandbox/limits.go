package sandbox

import (
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

// pageSize is the unit of linear memory.
const pageSize = 64 << 10

const (
	// memoryMax is the most linear memory that a run can be given: all of 32 bits but two pages, because wazero takes a memory of exactly 4 GiB for one of 0 bytes,
	// and must always take it for possible that a memory grows by one more: see memory.resize.
	memoryMax = 1<<32 - 2*pageSize
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

// Bounds on what running guests take together.
const (
	// memoryShare is the part of the machine's memory that running guests get by default: 3/memoryShare of it. The rest is for idle cells, admission and the system.
	memoryShare = 4
	// memoryUnknown is what a machine is taken to have that does not say.
	memoryUnknown = 4 << 30
	// groupsMax bounds the control groups that are asked, from a process's own to the root.
	groupsMax = 64
)

// Bounds on cells that wait for tasks.
const (
	// idleMemoryDefault is what Config.IdleMemory means by 0: a thousand small Go cells.
	idleMemoryDefault = 256 << 20
	// idleCellsMax bounds the idle cells of one pool; no more tasks of it run at once on any sensible machine.
	idleCellsMax = 256
	// idleCellsAllMax bounds the idle cells of all pools, whatever Config.IdleMemory says: each has two or three of the 65,530 mappings that Linux gives a
	// process, and Go cannot go on when it gets none.
	idleCellsAllMax = 10_000
	// poolsMax bounds pools, for each has a descriptor and some mappings of this process.
	poolsMax = 512
	// discardedMax is how many cells that were dropped and not freed yet are left to the builder.
	discardedMax = 4
	// wantedMax bounds the cells to be built ahead.
	wantedMax = 256
	// cellOverhead and tableElementCost estimate what a cell takes besides its pages, in bytes: stacks, wazero's instance, one heap object for each
	// table element.
	cellOverhead     = 32 << 10
	tableElementCost = 64
	// templateRetry is how long a template that could not be made is not tried again.
	templateRetry = time.Second
	// runningPerCPU is how many guests run at once for each of GOMAXPROCS by default. Each gets a tick's worth in turn, so what
	// waits longest for its own waits some 6 ms; guests that wait for the world are counted, too.
	runningPerCPU = 64
	// computingPerCPU is how many of them compute at once for each of GOMAXPROCS; the others wait for their turn. Two, so that a processor has work while the one
	// is on its way into the kernel or out.
	computingPerCPU = 2
	// checkRateDefault is which part of the restores is checked by default. A check of a Go cell takes some 0.3 ms.
	checkRateDefault = 0.001
)

// The rhythm in which a guest is looked at.
const (
	// tickAim is how much guest work lies between two ticks: long enough that a tick, of about a microsecond, costs one percent, and
	// short enough that the garbage collector and a hundred other guests wait little.
	tickAim = 100 * time.Microsecond
	// sliceStart, sliceMin and sliceMax bound the fuel between two ticks. It follows from what the last slice took: the first is
	// for a program that nothing is known of. The most is what guest code that does the cheapest things spends in tickAim;
	// more would let it save up for dear ones.
	sliceStart = 20_000
	sliceMin   = 500
	sliceMax   = 200_000
	// yieldEvery is how long a guest computes without a yield while other processors are free of guests: the worker's own work may fill those.
	yieldEvery = time.Millisecond
	// yieldShort is how long a yield takes in which no other goroutine ran; the clock of the thread is not read anew after such a one.
	yieldShort = 5 * time.Microsecond
)

// Bounds on what a cell keeps between tasks. The pages are the system's, mostly 4 KiB.
const (
	// stackStart is how many bytes of its stack a guest has at first; it gets more, twice as much each time, as it needs it. Most never do.
	stackStart = 32 << 10
	// stackKept is the deepest run after which an idle cell keeps its stacks, in bytes. Making them anew takes some microseconds.
	stackKept = 256 << 10
	// comparedMax is the largest memory, in bytes, that is compared with its image whole and not searched for what was written: one page of WebAssembly. Of two, both take as long.
	comparedMax = 64 << 10
	// privatePagesMax is the most pages that are copied back one by one, and so kept by an idle cell: 16 MiB. Beyond it, giving them all back and
	// taking the page faults again is as fast.
	privatePagesMax = 4096
	// privatePagesKept is what an idle cell may always keep: 256 KiB, which is what a small Go task writes.
	privatePagesKept = 64
	// excessMax is after how many restores in a row that found twice what had been written a cell gives its pages back.
	excessMax = 16
	// scanRangesMax is how many ranges of pages one system call can answer; more take more calls.
	scanRangesMax = 256
)

// Bounds on a module; the gate has more of them.
const (
	// moduleSizeMax bounds a module in bytes: some ten times a large Go program.
	moduleSizeMax = 64 << 20
	// tableElementsMax is what each table can have or grow to: 8 bytes each, 2 MiB a table.
	tableElementsMax = 1 << 18
)

// limitsDefault is what a run gets for a limit that its job does not state. They equal the defaults of a manifest.
var limitsDefault = capability.Limits{
	Memory:   64 << 20,
	Stack:    8 << 20,
	Payload:  224 << 10,
	Fuel:     1_000_000_000_000_000, // more than limits.cpu lets through: it binds where it is stated
	Tables:   1 << 18,
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
	fill(&l.Stack, limitsDefault.Stack)
	fill(&l.Payload, limitsDefault.Payload)
	fill(&l.Fuel, limitsDefault.Fuel)
	fill(&l.Tables, limitsDefault.Tables)
	fill(&l.Result, limitsDefault.Result)
	fill(&l.Log, limitsDefault.Log)
	fill(&l.LogLines, limitsDefault.LogLines)
	fill(&l.Calls, limitsDefault.Calls)
	fill((*int64)(&l.Wall), int64(limitsDefault.Wall))
	fill((*int64)(&l.CPU), int64(limitsDefault.CPU))
	l.Memory = min(l.Memory/pageSize*pageSize, memoryMax)
	l.Wall = min(l.Wall, wallMax)
	return l
}

// Bounds on admission in a child process. Measured with honest modules, per MiB: GCC's cc1plus (26 MB) takes 2.7 s of CPU and 62 MiB, esbuild (20 MB)
// 1.4 s and 38 MiB, a standard-Go guest (3.6 MB) 1 s and 40 MiB. Modules of 20 to 100 KB exist that would take minutes or gigabytes. So the
// base is what no honest small module comes near, and the rest grows with the module, some four times what the worst of these takes.
const (
	admitMemory       = 512 << 20 // beyond what the program itself has at its start
	admitMemoryPerMiB = 256 << 20
	admitMemoryMax    = 4 << 30
	admitCPU          = 10 * time.Second
	admitCPUPerMiB    = 10 * time.Second
	admitCPUMax       = 10 * time.Minute
	admitWallFactor   = 4 // a machine that is busy gives the child a part of its time only
	// smallModuleMax is the largest module that is admitted in the places of small ones: a standard-Go program of some size.
	smallModuleMax = 4 << 20
	// admitSmall and admitLarge are how many small and how many other modules are admitted at once. So their processes together take at most three times
	// 1.5 GiB and once 4, were all of them made to take what they may.
	admitSmall = 3
	admitLarge = 1
	// servedMax bounds the tenants whose last turn is remembered.
	servedMax = 10_000
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

// Bounds on what a start looks at of the folders that killed processes left.
const (
	leftNamesMax   = 10_000
	leftFoldersMax = 100
	// leftAge is how long a folder's maker may take to lock it; leftAgeUnlocked how old a folder without a lock must be: workers that run for longer make it anew when they miss it.
	leftAge         = time.Minute
	leftAgeUnlocked = 24 * time.Hour
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
