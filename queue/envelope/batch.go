package envelope

import (
	"errors"
	"fmt"
	"sync"
)

// A BatchError reports one task or result of a batch that cannot be signed. Nothing of the batch was signed. It is final.
type BatchError struct {
	Index int // in the batch
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("envelope: batch: %d: %v", e.Index, e.Err) }

// Code returns the code of Err, CodeField if it has none.
func (e *BatchError) Code() string {
	var coded interface {
		error
		Code() string
	}
	if errors.As(e.Err, &coded) {
		return coded.Code()
	}
	return CodeField
}

// Unwrap returns Err.
func (e *BatchError) Unwrap() error { return e.Err }

// SignBatch returns the messages for tasks, in their order, under one signature by key, which must be a submit key. Tasks with a Plan
// become steps. Each message opens without the others. A single task is signed as Sign does. The same tasks and key give the same
// bytes. tasks and their slices are neither changed nor kept.
// Errors, final: *BatchError, one for each bad task, joined; *FieldError for more than BatchMax tasks; *PurposeError for key.
// Source: docs/reference/envelope.md, "Batches".
func SignBatch(tasks []Task, key PrivateKey) ([][]byte, error) {
	b := batch{what: "message", key: key, purpose: Submit, sizeMax: MessageSizeMax}
	if err := b.begin(len(tasks)); err != nil {
		return nil, err
	}
	var first map[MessageID]int
	if len(tasks) > 1 {
		first = make(map[MessageID]int, len(tasks))
	}
	for i, t := range tasks { // a copy: prepare sets fields
		body, err := t.prepare(key)
		if at, ok := first[t.ID]; ok && err == nil {
			err = &FieldError{"id", fmt.Sprintf("is that of %d, too", at)}
		} else if first != nil {
			first[t.ID] = i
		}
		b.put(i, t.wireType(), body, err)
	}
	return b.sign()
}

// SignResults returns results as signed bytes, in their order, under one signature by key, which must be a worker key. Otherwise it is
// as SignBatch.
// Errors, final: *BatchError, one for each bad result, joined; *FieldError for more than BatchMax results; *PurposeError for key.
func SignResults(results []Result, key PrivateKey) ([][]byte, error) {
	b := batch{what: "result", key: key, purpose: Worker, sizeMax: ResultSizeMax}
	if err := b.begin(len(results)); err != nil {
		return nil, err
	}
	kept := bodyBuffers.Get().(*[]byte)
	bodies := (*kept)[:0]
	for i, r := range results {
		all, err := r.prepare(bodies, key)
		if err == nil {
			b.put(i, resultType, all[len(bodies):], nil)
			bodies = all // where it has grown, the bodies before stay where they are
			continue
		}
		b.put(i, resultType, nil, err)
	}
	signed, err := b.sign() // which copies the bodies
	if cap(bodies) <= bodyBufferKept {
		*kept = bodies
		bodyBuffers.Put(kept)
	}
	return signed, err
}

// bodyBuffers hold the bodies of results while they are signed. Buffers above bodyBufferKept bytes are of large results, which are
// rare, and are not kept.
var bodyBuffers = sync.Pool{New: func() any { return new([]byte) }}

const bodyBufferKept = 1 << 20

// A batch collects what is to be signed together.
type batch struct {
	what    string
	key     PrivateKey
	purpose Purpose
	sizeMax int
	members []member
	faults  []error
}

type member struct {
	typ  string
	body []byte
}

func (b *batch) begin(n int) error {
	if n > BatchMax {
		return &FieldError{"batch", fmt.Sprintf("has more than %d messages", BatchMax)}
	}
	if err := checkPurpose(b.key, b.purpose); err != nil {
		return err
	}
	b.members = make([]member, 0, n)
	return nil
}

func (b *batch) put(index int, typ string, body []byte, err error) {
	if err != nil {
		b.faults = append(b.faults, &BatchError{index, err})
		return
	}
	b.members = append(b.members, member{typ, body})
}

func (b *batch) sign() ([][]byte, error) {
	if len(b.faults) > 0 {
		return nil, errors.Join(b.faults...)
	}
	n := len(b.members)
	f := frame{key: b.key.Public().ID()}
	var t tree
	switch n {
	case 0:
		return nil, nil
	case 1:
		f.sig = b.key.Sign(b.members[0].typ, b.members[0].body)
	default:
		leaves := make([]treeHash, n)
		for i, m := range b.members {
			leaves[i] = leafHash(m.typ, m.body)
		}
		t = newTree(leaves)
		f.sig = b.key.Sign(batchType, rootBody(n, t.root()))
	}
	messages := make([][]byte, n)
	for i, m := range b.members {
		f.typ, f.body = m.typ, m.body
		if n > 1 {
			f.path = t.path(i)
		}
		msg, err := f.bounded(b.what, b.sizeMax)
		if err != nil {
			b.faults = append(b.faults, &BatchError{i, err})
		}
		messages[i] = msg
	}
	if len(b.faults) > 0 {
		return nil, errors.Join(b.faults...)
	}
	return messages, nil
}
