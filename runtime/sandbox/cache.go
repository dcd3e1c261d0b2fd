package sandbox

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A diskCache keeps artifacts in a folder, each under a name and sealed with a key that never leaves the folder. Any number of
// processes use one folder at once.
//
//	key            32 random bytes, 0600, made by the first who opens the folder
//	<name>.module  HMAC-SHA256 (32 bytes) over sealLabel, the name and the payload; then the payload
//	lock-<nn>      empty, locked by whoever admits a module whose name begins so
//	*.new          a file being written, renamed when it is whole
type diskCache struct {
	dir string
	key []byte
	max int64 // bytes of all entries together
}

const (
	keyFile       = "key"
	entrySuffix   = ".module"
	unfinished    = ".new"
	sealSize      = sha256.Size
	sealLabel     = "caisson compiled module\n"
	cacheDirMode  = 0o700
	cacheFileMode = 0o600
)

// errSeal is that an entry is not what a worker with this key wrote under this name.
var errSeal = errors.New("its seal does not hold")

// openDiskCache opens the folder, making it and its key if need be.
// Errors name the path and what is wrong with it: a folder that others can write to, a key that others can read.
func openDiskCache(dir string) (*diskCache, error) {
	if err := os.MkdirAll(dir, cacheDirMode); err != nil {
		return nil, err
	}
	if err := checkOwn(dir, 0o022, "others can write to it"); err != nil {
		return nil, err
	}
	c := &diskCache{dir: dir, max: cacheSizeMax}
	var err error
	for range 2 { // the second time when another process made the key meanwhile
		if c.key, err = c.readKey(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err = c.makeKey(); err != nil {
			return nil, err
		}
	}
	return c, err
}

func (c *diskCache) readKey() ([]byte, error) {
	path := filepath.Join(c.dir, keyFile)
	key, err := readWhole(path, sha256.Size)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err == nil && len(key) != sha256.Size:
		err = fmt.Errorf("%s: %d bytes, must be %d", path, len(key), sha256.Size)
	case err == nil:
		err = checkOwn(path, 0o077, "others can use it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: no key of this cache; remove it and the entries beside it", err)
	}
	return key, nil
}

// makeKey links a finished file to the key's name, which fails when there is one: of two processes at once, both use the first's.
func (c *diskCache) makeKey() error {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	temp, err := c.write(key)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := syncFile(temp); err != nil { // a key that a crash made empty, or all zeros, would stay
		return err
	}
	if err := os.Link(temp, filepath.Join(c.dir, keyFile)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// entryName is the name for a module under an engine: neither is found under the name of another.
func entryName(engine, digest [32]byte) string {
	sum := sha256.Sum256(slices.Concat([]byte("caisson entry name\n"), engine[:], digest[:]))
	return hex.EncodeToString(sum[:])
}

func (c *diskCache) path(name string) string { return filepath.Join(c.dir, name+entrySuffix) }

func (c *diskCache) seal(name string, payload []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	io.WriteString(mac, sealLabel)
	io.WriteString(mac, name)
	mac.Write(payload)
	return mac.Sum(nil)
}

// get returns the payload that was put under the name, after its seal was verified over all of it, and notes that it was used.
// Errors: fs.ErrNotExist, errSeal, or what the system says.
func (c *diskCache) get(name string) ([]byte, error) {
	path := c.path(name)
	entry, err := readWhole(path, sealSize+artifactSizeMax)
	if err != nil {
		return nil, err
	}
	if len(entry) < sealSize || !hmac.Equal(entry[:sealSize], c.seal(name, entry[sealSize:])) {
		return nil, errSeal
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // only the order of eviction hangs on it
	return entry[sealSize:], nil
}

// put keeps the payload under the name, replacing what was there, and evicts what is then too much.
func (c *diskCache) put(name string, payload []byte) error {
	temp, err := c.write(c.seal(name, payload), payload)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, c.path(name)); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return c.evict()
}

// remove drops an entry that is of no use.
func (c *diskCache) remove(name string) error { return os.Remove(c.path(name)) }

// write writes a file that nobody else sees yet. It is not synced, which entries need not be: one that a crash cut short has no valid seal.
func (c *diskCache) write(parts ...[]byte) (path string, err error) {
	f, err := os.CreateTemp(c.dir, "*"+unfinished) // 0600
	if err != nil {
		return "", err
	}
	for _, p := range parts {
		if _, err = f.Write(p); err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// evict removes the least recently used entries above max bytes, and files that were left unfinished.
// Another process may do the same at once: what is gone is gone.
func (c *diskCache) evict() error {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var entries []fs.FileInfo
	var sum int64
	for _, f := range files {
		info, err := f.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasSuffix(f.Name(), entrySuffix):
			entries = append(entries, info)
			sum += info.Size()
		case strings.HasSuffix(f.Name(), unfinished) && time.Since(info.ModTime()) > unfinishedAge:
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, e := range entries {
		if sum <= c.max {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sum -= e.Size()
	}
	return nil
}

// lock waits until no other process admits the module of this name, and returns what ends its own turn. Names share cacheLocks
// files, so that no lock file is ever removed, which could not be done without a race; where the system can lock parts of a file, each name has its own byte there.
// Errors: ctx's, or that the file system has no locks.
func (c *diskCache) lock(ctx context.Context, name string) (unlock func(), err error) {
	sum, err := hex.DecodeString(name)
	if err != nil || len(sum) < 9 {
		return nil, fmt.Errorf("%q is no name of an entry", name)
	}
	at := int64(binary.BigEndian.Uint64(sum[1:]) >> 2) // two names are alike by chance only
	f, err := os.OpenFile(filepath.Join(c.dir, fmt.Sprintf("lock-%02d", int(sum[0])%cacheLocks)), os.O_RDWR|os.O_CREATE, cacheFileMode)
	if err != nil {
		return nil, err
	}
	for wait := lockWaitMin; ; wait = min(2*wait, lockWaitMax) {
		got, err := tryLock(f, at)
		if got {
			return func() { f.Close() }, nil // which unlocks
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(wait):
		}
	}
}

// checkOwn refuses a file that is another user's, or has one of the mode bits that it must not have.
func checkOwn(path string, mustNot fs.FileMode, why string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !ownedByUs(info) {
		return fmt.Errorf("%s: it belongs to another user", path)
	}
	if modesMean && info.Mode().Perm()&mustNot != 0 {
		return fmt.Errorf("%s: mode %#o: %s", path, info.Mode().Perm(), why)
	}
	return nil
}

// readWhole reads a regular file of at most most bytes.
func readWhole(path string, most int64) ([]byte, error) {
	info, err := os.Lstat(path) // a pipe would hang the opening
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", path, most)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}
