// Command unhandled is a task that forgot to say which function it is.
package main

import "github.com/caisson-run/caisson/sdk/guest"

func main() { guest.Main() }
