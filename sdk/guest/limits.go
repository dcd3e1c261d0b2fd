package guest

const (
	// inputSizeMax bounds what is read from fd 0, in bytes. The worker's own bound is far lower (a payload fits one
	// message); this one keeps a host that never ends the input from filling the guest's memory.
	inputSizeMax = 16 << 20
	// inputSizeFirst is the first buffer for the input, in bytes: most inputs fit, so most runs read twice.
	inputSizeFirst = 16 << 10
	// stackSizeWarm is what the stack is grown to at the start, in bytes: encoding/json takes some 4 KiB, a task that
	// calls into a parser or two some 16 KiB. More costs nothing until it is used.
	stackSizeWarm = 32 << 10
	// pairsMax bounds the key-value pairs of one log line: the line itself is cut at abi.LogLineSizeMax, so more of
	// them would only cost time.
	pairsMax = 64
)
