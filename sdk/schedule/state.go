package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A Mark says up to when a schedule has been judged, and by what rule.
type Mark struct {
	Rule  string    `json:"rule"`
	Until time.Time `json:"until"`
}

// A State remembers marks by the names of schedules, so that a scheduler that starts again knows what it missed. Losing it loses no
// tick that comes, only those that were missed.
type State interface {
	// Marks returns what was kept last; empty when nothing was.
	Marks() (map[string]Mark, error)
	// Keep replaces all of it.
	Keep(map[string]Mark) error
}

// StateFile is a State kept in one JSON file at that path.
type StateFile string

var _ State = StateFile("")

// Marks implements State.
// Errors: a file that cannot be read, or is none of ours.
func (f StateFile) Marks() (map[string]Mark, error) {
	info, err := os.Stat(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("schedule: state: %w", err)
	}
	if info.Size() > stateSizeMax {
		return nil, fmt.Errorf("schedule: state: %s: %d bytes is above the maximum %d", f, info.Size(), stateSizeMax)
	}
	text, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("schedule: state: %w", err)
	}
	var marks map[string]Mark
	if err := json.Unmarshal(text, &marks); err != nil || marks == nil {
		return nil, fmt.Errorf("schedule: state: %s is not an object of schedules: restore it, or remove it to begin now", f)
	}
	return marks, nil
}

// Keep implements State. The file is replaced whole, so that a crash leaves the old one or the new one.
func (f StateFile) Keep(marks map[string]Mark) (err error) {
	text, err := json.MarshalIndent(marks, "", " ")
	if err != nil {
		return fmt.Errorf("schedule: state: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), ".schedule-*")
	if err != nil {
		return fmt.Errorf("schedule: state: %w", err)
	}
	_, err = tmp.Write(append(text, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), string(f))
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("schedule: state: %w", err)
	}
	return nil
}
