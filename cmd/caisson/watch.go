package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// watchEvery is how often files that are watched are looked at.
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

// sources are the files that something was made of, each with its stamp from before it was read, so that no change in between is missed.
type sources map[string]stamp

// note takes the stamp of a file that is going to be read, whether or not it is there.
func (s sources) note(path string) {
	if _, known := s[path]; !known {
		s[path] = fileStamp(path)
	}
}

func (s sources) changed() bool {
	for path, seen := range s {
		if fileStamp(path) != seen {
			return true
		}
	}
	return false
}

// watchFiles calls again each time that one of the files in seen is another than it was, and when SIGHUP asks for it, until ctx ends; again returns
// what it has read then. Time and size are compared, since a notification is lost when an editor or a configuration tool replaces a file.
func watchFiles(ctx context.Context, seen sources, again func() sources) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			seen = again()
		case <-tick.C:
			if seen.changed() {
				seen = again()
			}
		}
	}
}
