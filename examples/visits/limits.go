package main

import "time"

// kept is how long a count lives after its last visit, so that pages nobody visits do not fill the quota.
const kept = 90 * 24 * time.Hour
