//go:build unix && !linux

package sandbox

const mapNoReserve = 0 // elsewhere such mappings are lazy by themselves

func keepSmallPages([]byte) {}
