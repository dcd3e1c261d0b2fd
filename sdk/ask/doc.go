// Package ask reads what one entry of a TOML file, a step of a plan or a schedule, asks of the message that it becomes: task,
// input, module, capabilities, attempts, priority and limits.
//
// It never signs or sends, opens no file by itself, and does not judge what only the sender knows: whether limits and sizes fit is
// the envelope's word, what may be asked is the policy's.
//
// # Rules
//
// docs/reference/plan.md and docs/reference/schedule.md have each key. Faults stand at the keys they are about, one for each key
// at most, in the file that is given.
//
// # Limits
//
// Those of manifest/strict and queue/envelope; whoever gives the function that reads files bounds what it reads.
package ask
