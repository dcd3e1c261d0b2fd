package guesttest

// A Work is one function of the compute set. The guests compute export it by its name as (i32) -> i32, and as tasks take "name n" and
// answer the result in decimal. Before an export of a reactor is called directly, its _initialize must have run, if it has one.
type Work struct {
	Name   string
	N      uint32   // some 5 to 50 ms of work on a machine of 2026
	Want   uint32   // the result, the same in each language
	Guests []string // that have it
}

var inAll = []string{"go/compute", "c/compute", "rust/compute"}

// Works lists the compute set. The result is the caller's.
func Works() []Work {
	return []Work{
		{Name: "fib", N: 27, Want: 196418, Guests: inAll},
		{Name: "sieve", N: 500_000, Want: 41538, Guests: inAll},
		{Name: "sha256", N: 300, Want: 981758391, Guests: inAll},
		{Name: "sort", N: 20_000, Want: 2787484636, Guests: inAll},
		{Name: "matmul", N: 100, Want: 7057000, Guests: inAll},
		{Name: "json", N: 300, Want: 61956, Guests: inAll[:1]},
		{Name: "regexp", N: 300, Want: 5590, Guests: inAll[:1]},
	}
}
