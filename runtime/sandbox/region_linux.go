package sandbox

import "golang.org/x/sys/unix"

// mapNoReserve keeps a reservation of gigabytes from counting as used.
const mapNoReserve = unix.MAP_NORESERVE

// keepSmallPages fails only on kernels without huge pages, where there is nothing to keep off.
func keepSmallPages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }
