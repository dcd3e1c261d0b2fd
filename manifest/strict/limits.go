package strict

// Bounds of a file. They are far above what a hand-written file needs, and low enough that the
// worst file costs milliseconds.
const (
	// FileSizeMax is the largest file, in bytes: a policy with thousands of principals fits.
	FileSizeMax = 1 << 20
	// DepthMax is the deepest nesting, in key parts and array levels: ours need four.
	DepthMax = 16
	// ItemsMax bounds keys and array elements together, because each costs a tree node.
	ItemsMax = 50_000
	// TableKeysMax bounds the keys of one table: the library, which judges a document once more, looks for each key among all that stand in the table already,
	// so that 40,000 took 5 s of a processor. Lists of tables are not meant.
	TableKeysMax = 4096
	// KeySizeMax is the longest key with all that it stands in, in bytes: each key is kept as
	// written, so without a bound a file of 1 MiB could ask for gigabytes.
	KeySizeMax = 512
	// FaultsMax bounds the faults kept: nobody reads more, and each holds text.
	FaultsMax = 100
	// textSizeMax bounds the quoted piece of the file within one fault, in bytes.
	textSizeMax = 200
)
