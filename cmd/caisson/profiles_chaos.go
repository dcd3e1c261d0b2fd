//go:build chaos

package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"
)

// profilesVariable names the folder, which is there, that this process saves profiles of its heap to: one for each SIGUSR1,
// named by process and time. Empty: none, and SIGUSR1 ends it as usual.
const profilesVariable = "CAISSON_PROFILES"

// saveProfiles saves one whenever it is asked to, as long as the process lives.
func saveProfiles() {
	dir := os.Getenv(profilesVariable)
	if dir == "" {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() { // ends with the process
		for range asked {
			if err := saveProfile(filepath.Join(dir, fmt.Sprintf("%d-%s.heap", os.Getpid(), time.Now().Format("150405")))); err != nil {
				fmt.Fprintln(os.Stderr, "caisson: profile:", err)
			}
		}
	}()
}

// saveProfile saves what was in use after the last collection: no other is made, which would change what is measured.
func saveProfile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
