// Package redisacl turns a role into the rights of its Redis user, in the words of ACL SETUSER.
//
// It never connects to anything. The words are what queue/redisqueue sends and no more: `caisson redis acl` prints them,
// docs/reference/redis.md lists them, and the tests of the whole repository run under them, so that what is printed is what
// is proved.
//
//	Worker    claims, starts, settles; hears orders and carries them out; reads modules
//	Producer  sends to the lanes of one tenant; reads the results of one key; cancels
//	KV        reads and writes the values of tenants
//	Store     publishes modules and releases
//	Operator  gives orders and waits for their answers; sees what a watcher sees, and dead letters
//	Watcher   depths, states, progress and events; no message and no result
//
// A user has no right but those: each begins by taking everything away. Selectors (the parts in parentheses) need Redis 7.0.
// Source: Redis documentation, "ACL"; docs/reference/redis.md for the keys.
package redisacl
