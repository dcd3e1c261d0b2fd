package manifest

import "time"

// Bounds of the files.
const (
	// ManifestSizeMax is the largest manifest, in bytes: it travels in every release.
	ManifestSizeMax = 64 << 10
	// ReleaseSizeMax is the largest release, in bytes: the manifest in JSON (no character that TOML
	// allows grows more than twofold), in base64, and what stands around it.
	ReleaseSizeMax = 192 << 10
	// ModuleSizeMax is the largest module, in bytes: ten times a large Go program.
	ModuleSizeMax = 64 << 20
	// NumberMax is the largest release number: the largest integer that every JSON reader keeps.
	NumberMax = 1<<53 - 1
	// CapsMax is the most lines in needs.caps: each host call is compared with every line.
	CapsMax = 64
	// moduleNameSizeMax bounds the name of the module's file, in bytes.
	moduleNameSizeMax = 128
	// argsMax and envMax bound what a guest is started with; so does constantsSizeMax, in bytes
	// over all of them, because they are copied into every run.
	argsMax          = 64
	envMax           = 64
	constantsSizeMax = 16 << 10
	// keyIDSizeMax and signatureSizeMax bound what is handed to Publishers, in bytes.
	keyIDSizeMax     = 128
	signatureSizeMax = 256
)

// Defaults and ranges of [limits]. Sizes are bytes. The defaults suit a small job on a shared
// machine; policy can lower but never raise what a manifest states.
const (
	MemoryDefault = 64 << 20
	MemoryMin     = 64 << 10 // one page of WebAssembly
	MemoryMax     = 4 << 30  // all that 32 bits address
	memoryUnit    = 64 << 10 // memory is given in pages

	StackDefault = 8 << 20 // ordinary Go code, such as a long regular expression compiled at the start, takes 3 MiB
	StackMin     = 16 << 10
	StackMax     = 8 << 20 // growing one of twice that held up the end of a guest by 17 ms in p99, of this one by 6; and it is the host's memory, for each cell

	ResultDefault = 1 << 20
	ResultMin     = 1
	ResultMax     = 16 << 20 // results are kept in the broker's memory

	LogDefault = 256 << 10
	LogMin     = 1
	LogMax     = 16 << 20

	PayloadDefault = 224 << 10
	PayloadMin     = 1
	PayloadMax     = 224 << 10 // envelope.PayloadSizeMax: no message carries more

	LogLinesDefault = 1000
	LogLinesMin     = 1
	LogLinesMax     = 100_000

	CallsDefault = 1000
	CallsMin     = 1
	CallsMax     = 1_000_000

	WallDefault = 5 * time.Second
	WallMin     = time.Millisecond
	WallMax     = time.Hour

	// CPUDefault is cut to limits.wall when that is shorter.
	CPUDefault = 2 * time.Second
	CPUMin     = time.Millisecond
	CPUMax     = time.Hour

	// FuelDefault is more than any limits.cpu lets through: to spend it within CPUMax a machine would have to
	// run 2.8e11 units a second, some thirty times the fastest. So fuel bounds a run only where it is stated.
	FuelDefault = FuelMax
	FuelMin     = 1
	FuelMax     = 1_000_000_000_000_000 // below 2^53, so that every JSON reader keeps it

	// TablesDefault is some ten times what the largest Go programs have.
	TablesDefault = 1 << 18
	TablesMin     = 1
	TablesMax     = 1 << 20 // of 8 bytes of the host's memory each, for each cell
)

// Defaults and ranges of [retry].
const (
	RetryMaxDefault = 5 // runs after the first
	RetryMaxMin     = 0
	RetryMaxMax     = 100

	RetryBaseDefault = time.Second
	RetryBaseMin     = 10 * time.Millisecond
	RetryBaseMax     = time.Hour

	// RetryCapDefault is raised to retry.base when that is longer.
	RetryCapDefault = 5 * time.Minute
	RetryCapMin     = 10 * time.Millisecond
	RetryCapMax     = 24 * time.Hour // no message lives longer
)
