package wasm

// Bounds on a module, so that what this package and then wazero allocate by declared counts is a small multiple of its size. They are those that browsers
// agreed on, where these have one and wazero stays cheap within it; otherwise some ten times the most that was seen in modules of Go, Rust, clang,
// TinyGo, Zig, AssemblyScript and Haskell up to 26 MB (esbuild, GCC's cc1plus, Graphviz), which is what the numbers in brackets are.
// Source: https://webassembly.github.io/spec/js-api/#limits
const (
	moduleSizeMax      = 64 << 20  // bytes (26 MB); offsets are then kept in 32 bits
	typesMax           = 100_000   // (1,719)
	paramsMax          = 1_000     // parameters or results of one type
	importsMax         = 1_000     // a host offers tens
	functionsMax       = 200_000   // own and imported (35,221)
	tablesMax          = 8         // (1)
	tableElementsMax   = 1 << 18   // of one table from the start; wazero takes 8 bytes each: 2 MiB a table
	globalsMax         = 10_000    // (11)
	exportsMax         = 20_000    // (13); clang can be told to export all functions
	segmentsMax        = 200_000   // of data, or of elements (100,000, which is where the Go linker stops)
	segmentElementsMax = 1 << 18   // of one element segment
	bodySizeMax        = 7_654_321 // bytes (442,479); the number is the browsers'
	localGroupsMax     = 50_000
	localsMax          = 50_000    // of one function, its parameters among them (1,220)
	localsAllMax       = 4_000_000 // of all (143,081); wazero takes some 30 bytes each
	labelsMax          = 65_520    // of one br_table, without the default (5,418)
	blocksMax          = 50_000    // inside each other (3,232: Go nests as deep as a function has places to resume at); wazero takes some 200 bytes each
	nameSizeMax        = 10_000    // bytes; a C++ name can have thousands
)

// mergesMax bounds, for one function, the values that its blocks can merge: for each block all locals, its parameters and its results, and for a loop these once for
// each loop around it and itself. That is what wazero's compiler keeps lists of: it took 49 s for 1,490 loops around 1,000 locals (20 KB), and takes 1 s for the 50 that
// remain; 7,000 branches over as many locals took more than 1.4 GiB, the 1,200 that remain 0.3. The most of an honest module is 311,948 (GCC's cc1), and 786,240 of
// clang's without optimization.
const mergesMax = 1_500_000

// pagesMax is the most pages that a memory may have from the start: all of 32 bits but one, because wazero takes a memory of exactly 4 GiB for one of 0 bytes.
const pagesMax = 1<<16 - 1

// Bounds on the names of functions that are kept for traces.
const (
	funcNameSizeMax  = 256     // bytes of one, after escaping; generic Go names pass 200
	funcNamesSizeMax = 8 << 20 // bytes of all; a standard-Go guest of 4 MB has 70 KB
)
