// Command caisson runs tasks from a queue, each in a sandbox of its own, and does what belongs to that: keys,
// manifests, modules, policies, sending and waiting.
//
// One file per noun; each holds its verbs' flags, help and output, and leaves the work to the rooms. Only here
// are flags, files and the environment read. Asked-for output goes to stdout, all else to stderr, prefixed
// "caisson:". With --json the output is one JSON value a line, whose fields only grow.
//
// Exit status: 0 done, 1 failed, 2 misused, 3 refused.
package main
