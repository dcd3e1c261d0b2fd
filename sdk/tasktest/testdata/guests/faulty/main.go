// Command faulty has a manifest with faults.
package main

func main() {}
