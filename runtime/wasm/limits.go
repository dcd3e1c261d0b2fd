package wasm

// Bounds on a module, so that what this package and then wazero allocate by declared counts is a small multiple of its size. They are those that browsers
// agreed on, where these have one, and otherwise some ten times what the largest guests of ours need.
// Source: https://webassembly.github.io/spec/js-api/#limits
const (
	moduleSizeMax      = 64 << 20 // bytes; offsets are then kept in 32 bits
	typesMax           = 100_000
	paramsMax          = 1_000 // parameters or results of one type
	importsMax         = 1_000
	functionsMax       = 200_000 // own and imported
	tablesMax          = 8
	tableElementsMax   = 1 << 18 // of one table from the start; wazero takes 8 bytes each: 2 MiB a table
	globalsMax         = 10_000
	exportsMax         = 20_000
	segmentsMax        = 200_000 // of data, or of elements; a standard-Go guest has 36,000 data segments
	segmentElementsMax = 1 << 18 // of one element segment
	bodySizeMax        = 7_654_321
	localGroupsMax     = 50_000
	localsMax          = 50_000    // of one function, its parameters among them
	localsAllMax       = 4_000_000 // of all; wazero takes some 30 bytes each
	labelsMax          = 65_520    // of one br_table, without the default
	blocksMax          = 50_000    // nested in one function, which wazero takes some 200 bytes each for; standard Go nests as deep as a function has places to resume at
	nameSizeMax        = 10_000    // bytes
)

// pagesMax is the most pages that a memory may have from the start: all of 32 bits but one, because wazero takes a memory of exactly 4 GiB for one of 0 bytes.
const pagesMax = 1<<16 - 1

// Bounds on the names of functions that are kept for traces.
const (
	funcNameSizeMax  = 256     // bytes of one, after escaping; generic Go names pass 200
	funcNamesSizeMax = 8 << 20 // bytes of all; a standard-Go guest of 4 MB has 70 KB
)
