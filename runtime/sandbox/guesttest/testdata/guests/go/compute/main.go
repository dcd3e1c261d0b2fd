// The compute set: a reactor that answers "fib 20" with fib's number in decimal, and exports each function by its name.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
)

//go:wasmexport fib
func fib(n uint32) uint32 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

// sieve counts the primes below n.
//
//go:wasmexport sieve
func sieve(n uint32) uint32 {
	composite := make([]bool, n)
	count := uint32(0)
	for i := uint32(2); i < n; i++ {
		if composite[i] {
			continue
		}
		count++
		for j := i * 2; j < n; j += i {
			composite[j] = true
		}
	}
	return count
}

// sha256Chain hashes 1 KiB n times, each hash becoming the beginning of the next.
//
//go:wasmexport sha256
func sha256Chain(n uint32) uint32 {
	var block [1024]byte
	for range n {
		h := sha256.Sum256(block[:])
		copy(block[:], h[:])
	}
	return binary.BigEndian.Uint32(block[:])
}

// sortNumbers sorts n numbers of xorshift32 and sums them by their places.
//
//go:wasmexport sort
func sortNumbers(n uint32) uint32 {
	x := uint32(2463534242)
	numbers := make([]uint32, n)
	for i := range numbers {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		numbers[i] = x
	}
	slices.Sort(numbers)
	sum := uint32(0)
	for i, v := range numbers {
		sum += v * uint32(i+1)
	}
	return sum
}

// matmul multiplies two n by n matrices of small whole numbers and sums the product.
//
//go:wasmexport matmul
func matmul(n uint32) uint32 {
	size := int(n)
	a, b, c := make([]float64, size*size), make([]float64, size*size), make([]float64, size*size)
	for i := range size {
		for j := range size {
			a[i*size+j] = float64((i*j)%7 + 1)
			b[i*size+j] = float64((i + j) % 5)
		}
	}
	for i := range size {
		for k := range size {
			f := a[i*size+k]
			for j := range size {
				c[i*size+j] += f * b[k*size+j]
			}
		}
	}
	sum := 0.0
	for _, v := range c {
		sum += v
	}
	return uint32(uint64(sum))
}

type record struct {
	ID    uint32   `json:"id"`
	Name  string   `json:"name"`
	Tags  []string `json:"tags"`
	Score float64  `json:"score"`
}

// jsonTrip writes and reads n records, and sums their sizes and ids.
//
//go:wasmexport json
func jsonTrip(n uint32) uint32 {
	sum := uint32(0)
	for i := range n {
		text, err := json.Marshal(record{ID: i, Name: fmt.Sprintf("task %d", i), Tags: []string{"a", "b"}, Score: float64(i) * 1.5})
		if err != nil {
			panic(err)
		}
		var back record
		if err := json.Unmarshal(text, &back); err != nil {
			panic(err)
		}
		sum += uint32(len(text)) + back.ID
	}
	return sum
}

var address = regexp.MustCompile(`(\w+)@(\w+)\.(com|org)`)

// regexpFind finds addresses in n lines, and sums where they begin.
//
//go:wasmexport regexp
func regexpFind(n uint32) uint32 {
	sum := uint32(0)
	for i := range n {
		line := fmt.Sprintf("line %d: write to someone%d@example.org, not to nobody@example.net", i, i)
		at := address.FindStringIndex(line)
		sum += uint32(at[0])
	}
	return sum
}

//go:wasmexport caisson_run
func run() int32 {
	var name string
	var n uint32
	if _, err := fmt.Fscan(os.Stdin, &name, &n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 65
	}
	works := map[string]func(uint32) uint32{"fib": fib, "sieve": sieve, "sha256": sha256Chain, "sort": sortNumbers, "matmul": matmul,
		"json": jsonTrip, "regexp": regexpFind}
	f := works[name]
	if f == nil {
		return 65
	}
	fmt.Print(f(n))
	return 0
}

func main() {}
