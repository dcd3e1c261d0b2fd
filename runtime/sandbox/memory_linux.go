//go:build linux

package sandbox

import "golang.org/x/sys/unix"

// mapNoReserve keeps a reservation of gigabytes from counting as used.
const mapNoReserve = unix.MAP_NORESERVE
