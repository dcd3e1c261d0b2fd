// Command words is a task that counts the words of a text, or puts several counts together.
//
// It needs no capability. The same task stands at both ends of a plan: the first steps get a text each, as a JSON string, and the
// step after them gets their results, as a JSON array. A single result, in a chain, passes as it is.
package main
