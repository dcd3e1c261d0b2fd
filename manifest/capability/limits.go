package capability

// Bounds of lines and requests.
const (
	// LineSizeMax is the longest line, in bytes: lines are read by people.
	LineSizeMax = 1 << 10
	// SetLinesMax is the most lines in a set: each request is compared with every line.
	SetLinesMax = 256
	// URLSizeMax is the longest URL of a request, in bytes: servers refuse longer ones.
	URLSizeMax = 8 << 10
	// KeySizeMax is the longest kv or blob key, in bytes.
	KeySizeMax = 512
	// nameSizeMax is the longest name of a queue, task or secret, as in the envelope.
	nameSizeMax = 64
	// hostSizeMax and labelSizeMax are the bounds of DNS (RFC 1035, 2.3.4).
	hostSizeMax  = 253
	labelSizeMax = 63
)
