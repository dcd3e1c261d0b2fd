// Package capability turns lines such as "http GET https://api.example.com/v1/*" into powers that
// can be compared, and answers whether a request is within them.
//
// It never touches the network, files, clocks or stores, and imports no other room: who asks and
// who grants is not its matter. It never widens: what it cannot prove to be within a grant is not.
//
// # The grammar
//
// One line is one power: words of printable ASCII with one space between them, at most LineSizeMax
// bytes. Each power has exactly one spelling, so String gives back the line that Parse read.
//
//	log                            write to the task's log
//	progress                       report progress
//	clock fine                     read a clock finer than a millisecond
//	http METHOD SCHEME://HOST[:PORT]/PATH
//	kv ro|wo|rw KEY                read, write or both in the tenant's key-value store
//	blob ro|wo|rw KEY              the same for blobs
//	secret use|read NAME           have the host insert a secret, or read it
//	enqueue QUEUE TASK             send a task; TASK may end with ".*"
//
// METHOD is GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or * for any of these. SCHEME is https, or
// http where someone means it. HOST is a lower-case name of two labels or more; its first label may
// be * (exactly one label, above two or more); or an address in its canonical form. PORT is left
// out when it is the scheme's own. A whole segment of PATH may be *: in the middle it is exactly
// one segment that is not empty, at the end it is any rest, also an empty one. A query is no part
// of the pattern and every query is allowed. KEY is an exact key, or a prefix and "/*": any longer
// key under it. Names are [a-z0-9][a-z0-9._-]{0,63} without "..".
//
// # Decisions
//
// A [Set] is what one layer states. [Hold] joins the layers: the manifest's needs must be within
// the policy's grant, and each request ([HTTPRequest], [KVRequest]) is then asked of every layer
// by [Held.Check]. A request is parsed once; what was decided on is what is dialled.
package capability
