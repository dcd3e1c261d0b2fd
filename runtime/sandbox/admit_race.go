//go:build race

package sandbox

// memoryFactor: the race detector keeps four words and more for each of the program's.
const memoryFactor = 8
