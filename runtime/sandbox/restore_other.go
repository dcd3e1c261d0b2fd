//go:build !linux

package sandbox

// restorers are the ways that there may be here.
var restorers = []way{fresh}
