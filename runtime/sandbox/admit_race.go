//go:build race

package sandbox

// memoryFactor: the race detector keeps as much again and more for the program's memory.
const memoryFactor = 4
