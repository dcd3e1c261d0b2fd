package line

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lineSizeMax bounds one line either way; inputs and outputs of benchmarks are far below it.
const lineSizeMax = 1 << 20

// A Request is one line to an engine. Which fields matter depends on Op.
type Request struct {
	Op      string        `json:"op"`
	Way     string        `json:"way,omitempty"`
	Guest   string        `json:"guest,omitempty"`
	Path    string        `json:"path,omitempty"`    // load: the file of the guest
	Input   string        `json:"input,omitempty"`   // run: the payload
	Want    string        `json:"want,omitempty"`    // run: the result that every run must give
	Count   int           `json:"count,omitempty"`   // run: how many runs in all
	Workers int           `json:"workers,omitempty"` // run: goroutines that share them
	Limit   time.Duration `json:"limit,omitempty"`   // for acts
	Batch   int           `json:"batch,omitempty"`   // for acts: pieces of work taken or sent together
	Size    int           `json:"size,omitempty"`    // for acts: bytes of a payload
	Addr    string        `json:"addr,omitempty"`    // for acts: another way to the same server
}

// An Answer is one line back.
type Answer struct {
	Took   time.Duration `json:"took,omitempty"`
	Values []float64     `json:"values,omitempty"` // of acts
	Error  string        `json:"error,omitempty"`  // empty when all went well
}

// A Way turns the bytes of a guest into a program.
type Way func(guest []byte) (Program, error)

// A Program makes a worker: what it returns runs one task at a time, on the payload, and returns the result.
type Program func() (Worker, error)

// A Worker runs one task. It need not be safe for two goroutines at once. It may keep the slice that it returned and use it again.
type Worker func(input []byte) ([]byte, error)

// An Act serves an op of the process's own.
type Act func(q Request) (Answer, error)

// Serve answers requests until in ends. A request that fails is answered with its error; only a broken stream ends Serve.
func Serve(in io.Reader, out io.Writer, ways map[string]Way, acts map[string]Act) error {
	s := server{ways: ways, acts: acts, loaded: map[string]*loaded{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineSizeMax)
	for lines.Scan() {
		var q Request
		err := json.Unmarshal(lines.Bytes(), &q)
		var a Answer
		if err == nil {
			a, err = s.answer(q)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

type server struct {
	ways   map[string]Way
	acts   map[string]Act
	loaded map[string]*loaded // by way and guest
}

// loaded is a program with the workers that it has made so far.
type loaded struct {
	program Program
	workers []Worker
}

func (s *server) answer(q Request) (Answer, error) {
	if act := s.acts[q.Op]; act != nil {
		return act(q)
	}
	key := q.Way + "\x00" + q.Guest
	switch q.Op {
	case "load":
		way := s.ways[q.Way]
		if way == nil {
			return Answer{}, fmt.Errorf("no way %q here", q.Way)
		}
		guest, err := os.ReadFile(q.Path)
		if err != nil {
			return Answer{}, err
		}
		program, err := way(guest)
		if err != nil {
			return Answer{}, err
		}
		s.loaded[key] = &loaded{program: program}
		return Answer{}, nil
	case "run":
		l := s.loaded[key]
		if l == nil {
			return Answer{}, fmt.Errorf("guest %q is not loaded for way %q", q.Guest, q.Way)
		}
		took, err := l.run(q)
		return Answer{Took: took}, err
	}
	return Answer{}, fmt.Errorf("no op %q here", q.Op)
}

// run shares q.Count runs among q.Workers goroutines, which end before it returns.
func (l *loaded) run(q Request) (time.Duration, error) {
	if q.Workers < 1 || q.Count < 1 {
		return 0, errors.New("count and workers must be positive")
	}
	for len(l.workers) < q.Workers {
		w, err := l.program()
		if err != nil {
			return 0, err
		}
		l.workers = append(l.workers, w)
	}
	var (
		left  atomic.Int64
		ready sync.WaitGroup
		done  sync.WaitGroup
		start = make(chan struct{})
		errs  = make([]error, q.Workers)
	)
	left.Store(int64(q.Count))
	for i := range q.Workers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = once(l.workers[i], q)
			}
		})
	}
	ready.Wait()
	begun := time.Now()
	close(start)
	done.Wait()
	return time.Since(begun), errors.Join(errs...)
}

func once(w Worker, q Request) error {
	got, err := w([]byte(q.Input))
	if err == nil && string(got) != q.Want {
		err = fmt.Errorf("result %.100q, want %.100q", got, q.Want)
	}
	return err
}
