package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// Floor remembers the highest release number that was seen for each task, so that whoever can write to the
// module store cannot bring back an older release with a fault in it. Implementations are safe for concurrent use.
type Floor interface {
	// Lowest returns the number below which a release of the task is refused; 0 when none was seen.
	Lowest(task string) uint64
	// Raise records that number was seen. It never lowers. An error means that it is not remembered over a restart.
	Raise(task string, number uint64) error
}

// floorSizeMax bounds the file read by OpenFloor: some 100,000 tasks.
const floorSizeMax = 8 << 20

// FloorFile is a Floor kept in one JSON file, an object of task names and numbers.
type FloorFile struct {
	path string

	mu      sync.Mutex
	numbers map[string]uint64
	unsaved bool // numbers holds what the file does not: the last write failed
}

var _ Floor = (*FloorFile)(nil)

// OpenFloor reads the file at path, or starts an empty one when there is none.
//
// Errors: a file that cannot be read or is not such an object. It is never taken for empty, since that would
// let every rollback pass.
func OpenFloor(path string) (*FloorFile, error) {
	f := &FloorFile{path: path, numbers: map[string]uint64{}}
	text, err := readState(path, floorSizeMax)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("worker: release floor: %w", err)
	}
	if err := json.Unmarshal(text, &f.numbers); err != nil || f.numbers == nil {
		return nil, fmt.Errorf("worker: release floor: %s is not an object of tasks and numbers: restore it, or remove it to trust the store as it is", path)
	}
	return f, nil
}

// Lowest implements Floor.
func (f *FloorFile) Lowest(task string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.numbers[task]
}

// Raise implements Floor. The file is replaced whole, so that a crash leaves the old one or the new one. After a
// write that failed the number counts all the same, and the next call writes it.
func (f *FloorFile) Raise(task string, number uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number <= f.numbers[task] && !f.unsaved {
		return nil
	}
	f.numbers[task], f.unsaved = max(f.numbers[task], number), true
	text, err := json.Marshal(f.numbers)
	if err != nil {
		return fmt.Errorf("worker: release floor: %w", err)
	}
	if err := replaceState(f.path, text); err != nil {
		return fmt.Errorf("worker: release floor: %w", err)
	}
	f.unsaved = false
	return nil
}
