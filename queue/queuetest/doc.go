// Package queuetest holds every broker to one suite, and starts real Redis
// servers for tests.
//
//	queuetest.Run(t, func(t testing.TB) queuetest.Broker { ... })
//
// A Server is a redis-server on a free loopback port: TLS only, client
// certificates required, the user "default" off, ACL users as docs/reference/redis.md
// lists them, append-only file on. It fails the test, never skips it, when there
// is no redis-server. It can be stopped, killed, frozen and started again on the
// same port and data.
//
// The package is for tests only, and never speaks to a Redis that it did not start.
package queuetest
