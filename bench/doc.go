// Command bench measures Caisson beside its peers, in one run, and says which goals of the design are met.
//
//	go run ./bench sandbox|queue [--quick] [--json] [--rounds N] [--only REGEXP] [--out DIR] [--profile DIR]
//
// It prints a table of medians with their spread and then one line per goal; with --json, one object a line. A goal that is missed is
// reported and is no error of the run. Progress goes to standard error. What each row means: docs/reference/bench.md.
//
// Numbers taken minutes apart on a shared machine cannot be compared. So every engine is a process of its own that is started once
// (package line), for each guest of the sandbox once more, and asked in turn, round after round: A B C A B C ... A ratio is taken within a round, and
// only then the median of the rounds.
//
// Exit status: 0 done, 1 failed, 2 misused.
package main
