// Command visits is a task that counts visits in the key-value store.
//
// It needs "kv rw visits/*". Input is JSON: {"page": "home"}; the result is JSON: {"page": "home", "visits": 3}. Each
// tenant has keys of its own, so the same page of two tenants is counted apart. A read and the write after it are two
// calls: two visits at the same moment may be counted as one, and a task that runs again may count one visit twice.
package main
