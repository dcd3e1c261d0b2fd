package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// What a worker remembers over restarts stands in files that are read whole at the start and replaced whole at each change: Floor and Modes.

// readState reads the file at path.
// Errors: fs.ErrNotExist; that it has more than sizeMax bytes, or cannot be read.
func readState(path string, sizeMax int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, sizeMax+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > sizeMax {
		return nil, fmt.Errorf("%s: more than %d bytes", path, sizeMax)
	}
	return text, nil
}

// replaceState writes data beside path, syncs it, renames it over path, and syncs that: a crash leaves what was there or data, and what was replaced does not come back.
func replaceState(path string, data []byte) (err error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	tmp, err := os.CreateTemp(folder.Name(), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return folder.Sync()
}
