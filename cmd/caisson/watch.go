package main

import (
	"context"
	"os"
	"time"
)

// watchEvery is how often a file that is watched is looked at.
const watchEvery = time.Second

// stamp tells one state of a file from another.
type stamp struct {
	at   time.Time
	size int64
}

// fileStamp returns that of the file at path, the zero stamp when there is none.
func fileStamp(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// watchFile calls changed each time that the file at path is another than it was, until ctx ends. seen is its stamp from
// before it was read, so that no change in between is missed. It compares time and size, since a notification is lost when an
// editor or a configuration tool replaces the file.
func watchFile(ctx context.Context, path string, seen stamp, changed func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := fileStamp(path); now != seen {
			seen = now
			changed()
		}
	}
}
