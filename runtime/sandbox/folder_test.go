package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestClearLeft: what killed processes left is removed at a start, and nothing else.
func TestClearLeft(t *testing.T) {
	if !modesMean {
		t.Log("nothing is removed on this system")
		return
	}
	temp := t.TempDir()
	used, lock, err := makeOwnedDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	age := func(path string, by time.Duration) {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
	left := func(name string, by time.Duration) { // as by kill -9: nobody holds the lock
		dir := filepath.Join(temp, folderPrefix+name)
		if err := os.MkdirAll(filepath.Join(dir, "wazero"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+folderLock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		age(dir+folderLock, by)
	}
	left("1", time.Hour)
	left("2", 0) // perhaps it is just being made
	age(lock.Name(), time.Hour)
	elsewhere := filepath.Join(temp, "elsewhere")
	for _, dir := range []string{folderPrefix + "3", folderPrefix + "4", "elsewhere", "other-5"} {
		if err := os.Mkdir(filepath.Join(temp, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	age(filepath.Join(temp, folderPrefix+"3"), 48*time.Hour) // of a version without locks
	age(filepath.Join(temp, "other-5"), 48*time.Hour)
	if err := os.Symlink(elsewhere, filepath.Join(temp, folderPrefix+"6")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(temp, folderPrefix+"6"+folderLock), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	age(filepath.Join(temp, folderPrefix+"6"+folderLock), time.Hour)
	clearLeft(temp, hclog.NewNullLogger())
	files, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	want := []string{filepath.Base(used), filepath.Base(lock.Name()), folderPrefix + "2", folderPrefix + "2" + folderLock, folderPrefix + "4", folderPrefix + "6", folderPrefix + "6" + folderLock, "elsewhere", "other-5"}
	slices.Sort(want)
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("there are %q, want %q", names, want)
	}
	if err := removeOwnedDir(used, lock); err != nil {
		t.Error(err)
	}
	if files, err := filepath.Glob(used + "*"); err != nil || len(files) > 0 {
		t.Error(files, err)
	}
}
