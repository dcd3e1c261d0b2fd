//go:build !cold

package main

import "github.com/caisson-run/caisson/sdk/guest"

// The SDK sees the types, and takes them through its codecs before the template is taken.
func init() { guest.Handle(price) }
