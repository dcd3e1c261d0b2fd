package main

import "time"

// waitMax bounds the pause that the service may ask for: a longer one is the manifest's to decide.
const waitMax = 10 * time.Minute
