// Package schedule turns a list of schedules and the clock into signed tasks in a queue: one for each tick.
//
// It never decides who may send: a scheduler is a sender like any other, with a submit key, and policy judges what it
// sends. It opens no connection and reads no environment; the queue and the key are given.
//
// # One fire per tick
//
// All of a tick's message follows from the schedule, the tick and the key: its id (see [FireID]), its times and its
// payload. An Ed25519 signature has no randomness either, so any number of schedulers with the same key and the same file make
// the very same bytes, and a second copy of the same bytes never runs. So schedulers need not know of each
// other, sending again is always safe, and a scheduler whose clock was set back sends again what it sent before.
//
// Schedulers whose files differ, while a new one is rolled out, make different messages with one id: the first to be
// started runs, the other is a dead letter, queue.id_reused.
//
// # Missed ticks
//
// A scheduler remembers up to when it has judged each schedule ([State]). What came due since, it judges together: the newest
// tick is the current one, and the older ones are missed; the current one is missed too when it is more than
// OnTime late. [Skip], [One] and [All] say what is sent of them. A tick whose message would have expired is never sent. A
// schedule that is new, whose rule has changed, or that was paused begins now, and has missed nothing.
//
// # Limits
//
// limits.go, and those of queue/envelope: a message lives for 24 hours at most, so no tick is made up later than that.
package schedule
