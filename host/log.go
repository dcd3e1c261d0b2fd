package host

import (
	"bytes"
	"context"

	"github.com/caisson-run/caisson/host/abi"
)

// A lineSplitter gathers the bytes of one stream into lines.
// A line longer than abi.LogLineSizeMax keeps its beginning and loses the rest, which still counts against the log limit.
type lineSplitter struct {
	line []byte
	cut  bool
}

// levelNames are the words for the levels of log_write, by number.
var levelNames = [...]string{abi.LevelDebug: "debug", abi.LevelInfo: "info", abi.LevelWarn: "warn", abi.LevelError: "error"}

// chargeLog counts n bytes of log, or ends the guest.
func (r *Run) chargeLog(n int) {
	if int64(n) > r.config.Limits.Log-r.logSize {
		r.logSize = r.config.Limits.Log
		r.stopLog("more log bytes than allowed")
	}
	r.logSize += int64(n)
}

func (r *Run) stopLog(text string) {
	r.emit("warn", "[log ends here: "+text+"]")
	r.stopLimit("limit.log", text)
}

// writeStream takes p, bytes of fd 1 or 2, and logs each line that is complete. It ends the guest when its time is over: p may be millions of lines.
func (r *Run) writeStream(ctx context.Context, s *lineSplitter, p []byte) {
	r.chargeLog(len(p))
	for {
		r.checkContext(ctx)
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.add(p)
			return
		}
		s.add(p[:i])
		p = p[i+1:]
		r.flushLine(s)
	}
}

func (s *lineSplitter) add(p []byte) {
	if room := abi.LogLineSizeMax - len(s.line); len(p) > room {
		p = p[:room]
		s.cut = true
	}
	s.line = append(s.line, p...)
}

// flushLine logs what s holds as one line and empties it.
func (r *Run) flushLine(s *lineSplitter) {
	line := bytes.TrimSuffix(s.line, []byte{'\r'})
	text := Escape(line)
	if s.cut {
		text = Escape(trimRune(line)) + cutMark
	}
	s.line, s.cut = s.line[:0], false
	r.logLine("info", text)
}

// flush logs a last line that has no newline. It never ends the guest, which has ended.
func (r *Run) flush(s *lineSplitter) {
	if len(s.line) > 0 && r.logLines < r.config.Limits.LogLines {
		r.flushLine(s)
	}
}

// logLine emits one line of the guest's, or ends it when it has had its number.
func (r *Run) logLine(level, text string) {
	if r.logLines >= r.config.Limits.LogLines {
		r.stopLog("more log lines than allowed")
	}
	r.logLines++
	r.emit(level, text)
}

func (r *Run) emit(level, text string) {
	if r.config.Log != nil {
		r.config.Log(level, text)
	}
}

// note tells the task's log why a host call was answered with a code. Each counted call makes at most one, so it needs no bound of its own.
func (r *Run) note(name string, err error) {
	r.emit("warn", escapeCut([]byte(name+": "+err.Error()), noteSizeMax))
}

// logWrite implements log_write(level, ptr, len): the bytes are one or more lines of the given level.
func (r *Run) logWrite(ctx context.Context, level int32, ptr, n uint32) abi.Code {
	span, ok := r.view(ptr, n)
	if !ok || level < abi.LevelDebug || level > abi.LevelError {
		return abi.Invalid
	}
	r.charge(len(span))
	r.chargeLog(len(span))
	span = bytes.TrimSuffix(span, []byte{'\n'})
	for more := true; more; {
		r.checkContext(ctx)
		var line []byte
		line, span, more = bytes.Cut(span, []byte{'\n'})
		r.logLine(levelNames[level], escapeCut(line, abi.LogLineSizeMax))
	}
	return 0
}
