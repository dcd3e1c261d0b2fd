package modstore

import "io/fs"

const (
	// releasesMax bounds the releases of one task, because all their names are listed at once. At
	// ten a day it lasts for years; whoever floods a store reaches a refusal, not an older release.
	releasesMax = 10_000
	// numberDigits is the width of NumberMax in decimal.
	numberDigits = 16
	// tempTries bounds the search for a free temporary name: each is 64 random bits.
	tempTries = 3
)

// Modes of what Dir makes: workers read as other users, nobody but the owner writes.
const (
	dirMode   fs.FileMode = 0o755
	fileMode  fs.FileMode = 0o644
	writeBits fs.FileMode = 0o022 // of group and others: refused
)
