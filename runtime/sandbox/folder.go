package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A sandbox's folder for machine code is removed when it closes. That of a process that was killed stays, so each start removes those that nobody uses any more:
// beside each folder is an empty file, which its sandbox holds the lock of as long as it lives.
const (
	folderPrefix = "caisson-sandbox-"
	folderLock   = ".lock"
)

// makeOwnedDir makes a folder in temp for this user alone, and holds its lock.
func makeOwnedDir(temp string) (dir string, lock *os.File, err error) {
	lock, err = os.CreateTemp(temp, folderPrefix+"*"+folderLock) // 0600
	if err != nil {
		return "", nil, err
	}
	dir = strings.TrimSuffix(lock.Name(), folderLock)
	if _, err = tryLock(lock, 0); err == nil { // nobody else has it: the name is new
		err = os.Mkdir(dir, cacheDirMode)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(lock.Name()), lock.Close())
	}
	return dir, lock, nil
}

// removeOwnedDir is the end of both. The lock's file goes last, so that what is left by a crash in between is found.
func removeOwnedDir(dir string, lock *os.File) error {
	return errors.Join(os.RemoveAll(dir), os.Remove(lock.Name()), lock.Close())
}

// clearLeft removes folders that killed processes of this user left in temp, some at each start: what cannot be removed or belongs to another is left as it is.
func clearLeft(temp string, log hclog.Logger) {
	if !modesMean { // there, nobody knows whose they are, nor whether they are locked
		return
	}
	d, err := os.Open(temp)
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(leftNamesMax)
	removed := 0
	for _, name := range names {
		if !strings.HasPrefix(name, folderPrefix) || removed == leftFoldersMax {
			continue
		}
		if lock, ok := strings.CutSuffix(name, folderLock); ok && clearOne(filepath.Join(temp, lock)) {
			removed++
		} else if !ok && clearWithoutLock(filepath.Join(temp, name)) {
			removed++
		}
	}
	if removed > 0 {
		log.Info("removed folders that killed processes had left", "folders", removed)
	}
}

// clearOne removes a folder whose lock nobody holds.
func clearOne(dir string) bool {
	info, err := os.Lstat(dir + folderLock)
	if err != nil || !info.Mode().IsRegular() || !ownedByUs(info) || time.Since(info.ModTime()) < leftAge { // it may have been made and not locked yet
		return false
	}
	lock, err := os.OpenFile(dir+folderLock, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer lock.Close()
	if opened, err := lock.Stat(); err != nil || !os.SameFile(info, opened) {
		return false
	}
	if free, err := tryLock(lock, 0); err != nil || !free {
		return false
	}
	if info, err := os.Lstat(dir); err == nil && (!info.IsDir() || !ownedByUs(info)) {
		return false
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return removeOwnedDir(dir, lock) == nil
}

// clearWithoutLock removes a folder that has no lock: one of a version before there were locks, or whose lock somebody cleared away. It must be old, since its owner
// may live.
func clearWithoutLock(dir string) bool {
	if _, err := os.Lstat(dir + folderLock); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || !ownedByUs(info) || time.Since(info.ModTime()) < leftAgeUnlocked {
		return false
	}
	return os.RemoveAll(dir) == nil
}
