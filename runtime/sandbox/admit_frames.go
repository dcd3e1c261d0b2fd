package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// What a worker and its admission child say to each other, over the child's stdin and stdout; integers little-endian:
//
//	worker: "caisson-admit-1\n"  u64 memory (bytes)  u64 cpu (nanoseconds)  u32 length and the folder  u64 length and the module
//	child:  "caisson-admit-1\n"  when it has limited itself, before it looks at the module
//	        u8 'A' or 'R'  u64 length and the artifact, or the refusal: u8 length and the code, and the text to the end
//	        "end\n"
//
// The worker then keeps the pipe open and sends nothing: its end tells the child that the worker is gone.
const (
	admitHello     = "caisson-admit-1\n"
	admitEnd       = "end\n"
	answerArtifact = 'A'
	answerRefusal  = 'R'
)

// An admitRequest is what a child is asked.
type admitRequest struct {
	limits admitLimits
	dir    string // an empty folder for the compiler's file
	code   []byte
}

// admitLimits bound a child.
type admitLimits struct {
	memory uint64 // bytes of data beyond what the program has at its start
	cpu    time.Duration
	wall   time.Duration // kept by the worker
}

// limitsFor returns the bounds for a module of size bytes. Honest modules take time and memory in proportion to their size, so those that
// need much more are caught soon, and large ones get what they need.
func limitsFor(size int) admitLimits {
	mib := func(n uint64) uint64 { return n * uint64(size) >> 20 }
	cpu := admitCPU + time.Duration(mib(uint64(admitCPUPerMiB)))
	return admitLimits{
		memory: min(admitMemory+mib(admitMemoryPerMiB), admitMemoryMax),
		cpu:    min(cpu, admitCPUMax),
		wall:   admitWallFactor * min(cpu, admitCPUMax),
	}
}

func (r *admitRequest) encode() []byte {
	b := make([]byte, 0, len(admitHello)+28+len(r.dir)+len(r.code))
	b = append(b, admitHello...)
	b = binary.LittleEndian.AppendUint64(b, r.limits.memory)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.limits.cpu))
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(r.dir))), r.dir...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(r.code)))
	return append(b, r.code...)
}

// readRequest reads what encode wrote. limit is called before the module is read, with everything else set.
func readRequest(in io.Reader, limit func(admitLimits) error) (*admitRequest, error) {
	var head struct {
		Hello   [len(admitHello)]byte
		Memory  uint64
		CPU     uint64
		DirSize uint32
	}
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return nil, err
	}
	if string(head.Hello[:]) != admitHello || head.DirSize > admitDirMax {
		return nil, errors.New("not a request for admission")
	}
	dir, err := readExactly(in, uint64(head.DirSize))
	if err != nil {
		return nil, err
	}
	r := &admitRequest{limits: admitLimits{memory: head.Memory, cpu: time.Duration(head.CPU)}, dir: string(dir)}
	if err := limit(r.limits); err != nil {
		return nil, err
	}
	r.code, err = readSized(in, moduleSizeMax)
	return r, err
}

// writeAnswer writes a child's whole answer after the hello.
func writeAnswer(out io.Writer, kind byte, payload []byte) error {
	head := binary.LittleEndian.AppendUint64([]byte{kind}, uint64(len(payload)))
	for _, part := range [][]byte{head, payload, []byte(admitEnd)} {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// errNoHello is that the process never said that it admits modules: it is another program, or could not start.
var errNoHello = errors.New("it is no admission process")

// readAnswer reads a child's hello and answer: the artifact, or the refusal as *AdmissionError.
// Errors: errNoHello; errAnswer when the child ended too soon or says what none of ours says.
func readAnswer(in io.Reader) (artifact []byte, err error) {
	hello, err := readExactly(in, uint64(len(admitHello)))
	if err != nil || string(hello) != admitHello {
		return nil, errNoHello
	}
	kind, err := readExactly(in, 1)
	if err != nil {
		return nil, errAnswer
	}
	most := uint64(artifactSizeMax)
	if kind[0] == answerRefusal {
		most = refusalSizeMax
	}
	payload, err := readSized(in, most)
	if err != nil {
		return nil, errAnswer
	}
	if end, err := readExactly(in, uint64(len(admitEnd))); err != nil || string(end) != admitEnd {
		return nil, errAnswer
	}
	switch kind[0] {
	case answerArtifact:
		return payload, nil
	case answerRefusal:
		return nil, decodeRefusal(payload)
	}
	return nil, errAnswer
}

var errAnswer = errors.New("its answer is cut short or garbled")

// encodeRefusal is for codes and texts of ours only.
func encodeRefusal(e *AdmissionError) []byte {
	text := e.Text[:min(len(e.Text), refusalSizeMax-256)]
	return slices.Concat([]byte{byte(len(e.code))}, []byte(e.code), []byte(text))
}

// childCodes are the codes that a child may give.
var childCodes = []string{"module.invalid", "module.unsupported", "module.import", "module.shape", "module.costly"}

func decodeRefusal(b []byte) error {
	if len(b) == 0 {
		return errAnswer
	}
	size, b := int(b[0]), b[1:]
	if size > len(b) || !slices.Contains(childCodes, string(b[:size])) {
		return errAnswer
	}
	return admission(string(b[:size]), "%s", b[size:])
}

// readSized reads a u64 length of at most most and as many bytes.
func readSized(in io.Reader, most uint64) ([]byte, error) {
	head, err := readExactly(in, 8)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head)
	if n > most {
		return nil, fmt.Errorf("%d bytes, at most %d", n, most)
	}
	return readExactly(in, n)
}

// readExactly reads n bytes. It allocates as they arrive, in steps that double, so that a length without bytes behind it costs readStep.
func readExactly(in io.Reader, n uint64) ([]byte, error) {
	if n <= readStep {
		b := make([]byte, n)
		_, err := io.ReadFull(in, b)
		return b, err
	}
	var b bytes.Buffer
	b.Grow(readStep)
	if got, err := io.Copy(&b, io.LimitReader(in, int64(n))); err != nil {
		return nil, err
	} else if uint64(got) < n {
		return nil, io.ErrUnexpectedEOF
	}
	return b.Bytes(), nil
}
