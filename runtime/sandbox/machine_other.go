//go:build !linux

package sandbox

// machineMemory is what this process may take, in bytes. Nobody is asked here.
func machineMemory() int64 { return memoryUnknown }
