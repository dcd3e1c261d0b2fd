package main

const (
	// columnsMax bounds the columns, each of which keeps counts of its own.
	columnsMax = 256
	// distinctMax bounds the different texts that are counted in one column; beyond it, the rest is said to be more.
	distinctMax = 1000
	// topMax bounds the frequent texts that the summary names.
	topMax = 5
)
