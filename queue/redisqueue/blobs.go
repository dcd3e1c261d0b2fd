package redisqueue

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// Keys of blobs. They carry no hash tag, so that modules spread over a cluster;
// nothing is done to two of them at once.
const (
	blobPrefix = "cs:mod:b:"
	blobIndex  = "cs:mod:names" // zset, all scores 0: ordered by bytes
	blobPart   = "cs:mod:p:"    // of a large blob that is being written; its hash tag is the blob's whole key, so that both are in one slot
)

// Blobs keeps named bytes that are written once: the module store in Redis. It
// checks no digest; whoever reads does. It is safe for concurrent use.
type Blobs struct {
	client *Client
	sent   func(done, of int)
}

// OpenBlobs returns the blobs kept in c. It connects to nothing.
func OpenBlobs(c *Client) *Blobs { return &Blobs{client: c, sent: func(int, int) {}} }

// Telling returns the same blobs; what Put has written so far of a large one, in bytes, is told to sent.
func (b *Blobs) Telling(sent func(done, of int)) *Blobs { return &Blobs{b.client, sent} }

// A pace is how many bytes of a blob go in one trip: by how long the last one took, so that over a slow line too each is over well before Timeout has
// passed, and over a fast one there are few.
type pace int

func (p *pace) took(d time.Duration) {
	switch {
	case d < paceFast:
		*p = min(2**p, blobPieceMax)
	case d > paceSlow:
		*p = max(*p/2, blobPieceMin)
	}
}

func checkBlobName(name string) error {
	if n := len(name); n == 0 || n > blobNameBytesMax {
		return &queue.FieldError{Field: "name", Text: fmt.Sprintf("has %d bytes, want 1 to %d", n, blobNameBytesMax)}
	}
	return nil
}

// Get returns a blob of at most sizeMax bytes.
// Errors: one that is fs.ErrNotExist; one that is fs.ErrInvalid when it is larger;
// *queue.FieldError, *queue.UnavailableError.
func (b *Blobs) Get(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	if err := checkBlobName(name); err != nil {
		return nil, err
	}
	if sizeMax < 1 || sizeMax > blobBytesMax {
		return nil, &queue.FieldError{Field: "size", Text: fmt.Sprintf("%d, want 1 to %d", sizeMax, blobBytesMax)}
	}
	data, err := b.read(ctx, name, sizeMax)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, &fs.PathError{Op: "get blob", Path: name, Err: fs.ErrNotExist}
	}
	if int64(len(data)) > sizeMax {
		return nil, &fs.PathError{Op: "get blob", Path: name, Err: fs.ErrInvalid}
	}
	return data, nil
}

// read returns up to sizeMax+1 bytes, none when there is no blob: no blob is empty. It reads in pieces, since all of a large one
// may not arrive within one Timeout; that is no look at one moment, and a blob that is replaced between two is for the digest to find.
func (b *Blobs) read(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	var data []byte
	size := pace(blobPiece)
	for {
		var piece string
		start, asked := time.Now(), int64(size)
		err := b.client.do(ctx, "blob get", func(ctx context.Context) error {
			from := int64(len(data))
			var err error
			piece, err = b.client.rdb.GetRange(ctx, blobPrefix+name, from, min(from+asked-1, sizeMax)).Result()
			return err
		})
		if err != nil {
			return nil, err
		}
		data = append(data, piece...)
		if int64(len(piece)) < asked || int64(len(data)) > sizeMax {
			return data, nil
		}
		size.took(time.Since(start))
	}
}

// Put writes a blob that is not there yet. The same bytes again are no error.
// Errors: one that is fs.ErrExist when other bytes are there; *queue.FieldError;
// *queue.UnavailableError.
func (b *Blobs) Put(ctx context.Context, name string, data []byte) error {
	if err := checkBlobName(name); err != nil {
		return err
	}
	if n := len(data); n == 0 || n > blobBytesMax {
		return &queue.FieldError{Field: "data", Text: fmt.Sprintf("has %d bytes, want 1 to %d", n, blobBytesMax)}
	}
	write := b.whole
	if len(data) > blobPiece {
		write = b.inPieces
	}
	fresh, err := write(ctx, name, data)
	if err != nil {
		return err
	}
	if !fresh {
		old, err := b.read(ctx, name, int64(len(data)))
		switch {
		case err != nil:
			return err
		case len(old) == 0:
			return damaged("blob put", errors.New("what was written is gone; somebody deletes it"))
		case !bytes.Equal(old, data):
			return &fs.PathError{Op: "put blob", Path: name, Err: fs.ErrExist}
		}
	}
	// The name second, so that every name has its bytes; and again for bytes that
	// were there, in case whoever wrote them stopped here.
	return b.client.do(ctx, "blob put", func(ctx context.Context) error {
		return b.client.rdb.ZAdd(ctx, blobIndex, redis.Z{Member: name}).Err()
	})
}

// whole writes a small blob, unless there is one.
func (b *Blobs) whole(ctx context.Context, name string, data []byte) (fresh bool, err error) {
	err = b.client.do(ctx, "blob put", func(ctx context.Context) error {
		var err error
		fresh, err = b.client.rdb.SetNX(ctx, blobPrefix+name, data, 0).Result()
		return err
	})
	return fresh, err
}

// inPieces writes a large blob, unless there is one, under a name that nobody reads, and then gives it its own. The last piece goes first, so that
// Redis makes room once. What is left behind by somebody who stops in the midst expires.
func (b *Blobs) inPieces(ctx context.Context, name string, data []byte) (fresh bool, err error) {
	if old, err := b.read(ctx, name, 1); err != nil || len(old) > 0 {
		return false, err
	}
	part := blobPart + "{" + blobPrefix + name + "}" + rand.Text()
	size := pace(blobPiece)
	for left := len(data); left > 0; {
		start, from := time.Now(), max(0, left-int(size))
		err := b.client.do(ctx, "blob put", func(ctx context.Context) error {
			pipe := b.client.rdb.Pipeline()
			pipe.SetRange(ctx, part, int64(from), string(data[from:left]))
			pipe.PExpire(ctx, part, blobPartKept)
			_, err := pipe.Exec(ctx)
			return err
		})
		if err != nil {
			return false, err
		}
		left = from
		size.took(time.Since(start))
		b.sent(len(data)-left, len(data))
	}
	err = b.client.do(ctx, "blob put", func(ctx context.Context) error {
		pipe := b.client.rdb.TxPipeline()
		pipe.Persist(ctx, part)
		renamed := pipe.RenameNX(ctx, part, blobPrefix+name)
		pipe.PExpire(ctx, part, blobPartKept) // somebody else's came first
		_, err := pipe.Exec(ctx)
		if fresh = renamed.Val(); renamed.Err() != nil && strings.HasSuffix(renamed.Err().Error(), "no such key") {
			return nil // it was done, and the reply was lost
		}
		return err
	})
	return fresh, err
}

// List returns up to limit (1 to 10,000) names that begin with prefix, in the
// order of their bytes.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (b *Blobs) List(ctx context.Context, prefix string, limit int) ([]string, error) {
	if len(prefix) > blobNameBytesMax {
		return nil, &queue.FieldError{Field: "prefix", Text: fmt.Sprintf("has more than %d bytes", blobNameBytesMax)}
	}
	if limit < 1 || limit > blobListMax {
		return nil, &queue.FieldError{Field: "max", Text: fmt.Sprintf("%d, want 1 to %d", limit, blobListMax)}
	}
	from, to := lexRange(prefix, "")
	var names []string
	err := b.client.do(ctx, "blob list", func(ctx context.Context) error {
		var err error
		names, err = b.client.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: blobIndex, Start: from, Stop: to, ByLex: true, Count: int64(limit),
		}).Result()
		return err
	})
	return names, err
}
