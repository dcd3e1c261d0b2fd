package sandbox

// defaultMemory is what Config.Memory means by 0.
func defaultMemory() int64 {
	return max(machineMemory()/memoryShare*3, 1)
}
