package redisqueue

import (
	"bytes"
	"fmt"
	"net"
)

// bounded is a connection on which no reply has more than replyBytesMax bytes. go-redis allocates what a reply declares, and whoever can
// write to Redis can put as much into one entry of a lane as Redis takes.
type bounded struct {
	net.Conn
	replies passing
}

// Read reads what the server sends, until a reply is too large. The connection is of no use then: its reader was in the midst of it.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if large := b.replies.pass(p[:n]); large != nil {
		_ = b.Conn.Close()
		return 0, large
	}
	return n, err
}

// largeReplyError reports a reply above the bound.
type largeReplyError struct{ size int64 }

func (e *largeReplyError) Error() string {
	return fmt.Sprintf("a reply of %d bytes or more, at most %d", e.size, replyBytesMax)
}

// passing follows replies of protocol 2 as they pass, without keeping them, as far as is needed to know how large each is.
type passing struct {
	skip   int64  // bytes of a text, and its line end, that are still to come
	line   []byte // of a line that has begun, at most lineKept
	values int64  // that are still to come of this reply
	size   int64  // of this reply: bytes that came or are declared, and elementBytes for each element
}

// lineKept is how much of a line is kept: a kind and a number.
const lineKept = 24

// elementBytes is about what go-redis allocates for each element that a list declares, beside its bytes.
const elementBytes = 16

// pass looks at what came next.
// Errors: *largeReplyError.
func (r *passing) pass(p []byte) error {
	for len(p) > 0 {
		if r.skip > 0 {
			n := min(r.skip, int64(len(p)))
			p, r.skip = p[n:], r.skip-n
			if r.skip == 0 {
				r.value()
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		switch {
		case end >= 0 && len(r.line) == 0: // nearly always
			r.size += int64(end)
			r.header(p[:end])
			p = p[end+1:]
		case end >= 0:
			r.begin(p[:end])
			line := r.line
			r.line = r.line[:0]
			r.header(line)
			p = p[end+1:]
		default:
			r.begin(p)
			p = nil
		}
		if r.size > replyBytesMax {
			return &largeReplyError{r.size}
		}
	}
	return nil
}

// begin keeps a part of a line.
func (r *passing) begin(part []byte) {
	r.size += int64(len(part))
	r.line = append(r.line, part[:min(len(part), lineKept-len(r.line))]...)
}

// header takes a line: of a text or a list it says how large that is. What is malformed is for go-redis to refuse.
func (r *passing) header(line []byte) {
	if len(line) < 2 || line[0] != '$' && line[0] != '*' || line[1] == '-' {
		r.value()
		return
	}
	n := int64(0)
	for _, c := range line[1:] {
		if c < '0' || c > '9' {
			break
		}
		if n = 10*n + int64(c-'0'); n > replyBytesMax {
			r.size = n
			return
		}
	}
	if line[0] == '$' {
		r.skip = n + 2
		r.size += n
		return
	}
	r.size += n * elementBytes
	r.values += n
	r.value()
}

// value ends one value. With the last one the next reply begins.
func (r *passing) value() {
	if r.values--; r.values <= 0 {
		r.values, r.size = 1, 0
	}
}
