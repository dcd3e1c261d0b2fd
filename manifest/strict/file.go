package strict

import (
	"bytes"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A File is a decoded file: it knows where each key stands and collects the faults.
// It is not safe for use by several goroutines at once.
type File struct {
	name     string
	data     []byte
	lines    []int            // offset of each line's first byte
	keys     map[string]*node // by written key
	faults   []Fault
	complete bool
}

// Decode reads data as TOML into v, a pointer to a struct; name is what faults call the file.
// The File is never nil, so that a caller can go on to add semantic faults; when it is not
// Complete, keys may be missing only because the syntax broke before them. What has a fault is
// left as it was in v. data is kept and must not be changed while the File is in use.
// Errors, all final: Faults.
func Decode(name string, data []byte, v any) (*File, error) {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() || into.Elem().Kind() != reflect.Struct {
		panic("internal error: strict.Decode needs a pointer to a struct")
	}
	f := &File{name: name, data: data, keys: map[string]*node{}}
	if !f.checkBytes() {
		return f, f.Err()
	}
	b := builder{file: f}
	root := b.build()
	f.complete = b.complete
	f.keys[""] = root
	f.index("", root)
	f.fillStruct("", root, into.Elem())
	if f.complete {
		f.judge()
	}
	return f, f.Err()
}

// Complete tells whether the whole file could be read: false after a fault of syntax or size, when
// the absence of a key proves nothing.
func (f *File) Complete() bool { return f.complete }

// Has tells whether the file sets the key.
func (f *File) Has(key string) bool {
	_, ok := f.keys[key]
	return ok
}

// Faulty tells whether the key, or anything inside it, has a fault already: judging its value again
// would only repeat it.
func (f *File) Faulty(key string) bool {
	shown := printable(key)
	for _, fault := range f.faults {
		rest, ok := strings.CutPrefix(fault.Key, shown)
		if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// At gives the position of a key or array element, or of its nearest parent that is there; 1, 1
// when none is.
func (f *File) At(key string) (line, column int) {
	n, _ := f.nearest(key)
	return f.position(n.offset)
}

// Fault adds a semantic fault at the key's position. The arguments' text is made printable.
func (f *File) Fault(key, format string, args ...any) {
	n, _ := f.nearest(key)
	f.fault(n.offset, key, format, args...)
}

// FaultInside adds a fault about one character inside the string value of key; index counts the
// bytes of the value from 0. When the string is written with escapes or on several lines, the
// place within it cannot be told and the fault stands at the key.
func (f *File) FaultInside(key string, index int, format string, args ...any) {
	n, exact := f.nearest(key)
	offset := n.offset
	if exact && n.kind == kindString && n.plain && index >= 0 && index <= len(n.text) {
		offset = n.value + 1 + index // 1 for the opening quote
	}
	f.fault(offset, key, format, args...)
}

// Err gives nil or Faults: of syntax, of types and those added by the caller, together.
func (f *File) Err() error {
	if len(f.faults) == 0 {
		return nil
	}
	return sortFaults(append([]Fault(nil), f.faults...))
}

func (f *File) fault(offset int, key, format string, args ...any) {
	if len(f.faults) >= FaultsMax {
		return
	}
	line, column := f.position(offset)
	f.faults = append(f.faults, Fault{
		File: f.name, Line: line, Column: column,
		Key: printable(key), Text: printable(fmt.Sprintf(format, args...)),
	})
}

// checkBytes refuses what no later step should see, and counts the lines.
func (f *File) checkBytes() bool {
	if len(f.data) > FileSizeMax {
		f.fault(0, "", "the file has %d bytes, more than %d", len(f.data), FileSizeMax)
		return false
	}
	f.lines = []int{0}
	for i, c := range f.data {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	if bytes.HasPrefix(f.data, []byte("\ufeff")) {
		f.fault(0, "", "the file begins with a byte order mark; save it as plain UTF-8")
		return false
	}
	if i := bytes.IndexByte(f.data, 0); i >= 0 {
		f.fault(i, "", "a NUL byte")
		return false
	}
	for i := 0; i < len(f.data); {
		r, size := utf8.DecodeRune(f.data[i:])
		if r == utf8.RuneError && size <= 1 {
			f.fault(i, "", "not UTF-8")
			return false
		}
		i += size
	}
	return true
}

// position turns a byte offset into line and column.
func (f *File) position(offset int) (line, column int) {
	if len(f.lines) == 0 || offset < 0 || offset > len(f.data) {
		return 1, 1
	}
	line = sort.SearchInts(f.lines, offset+1) // lines that begin at or before offset
	return line, utf8.RuneCount(f.data[f.lines[line-1]:offset]) + 1
}

// index records where each key and element stands. Depth is bounded by the builder.
func (f *File) index(path string, n *node) {
	for _, name := range n.order {
		child := join(path, name)
		f.keys[child] = n.table[name]
		f.index(child, n.table[name])
	}
	for i, item := range n.items {
		child := element(path, i)
		f.keys[child] = item
		f.index(child, item)
	}
}

// nearest finds the node of key or of its nearest parent.
func (f *File) nearest(key string) (n *node, exact bool) {
	for at := key; at != ""; at = parent(at) {
		if n, ok := f.keys[at]; ok {
			return n, at == key
		}
	}
	return &node{}, false
}

// join writes the key of a table's member.
func join(path, name string) string {
	if !bare(name) {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// element writes the key of an array's element.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent cuts the last part off a written key.
func parent(key string) string {
	switch {
	case strings.HasSuffix(key, "]"):
		if i := strings.LastIndexByte(key, '['); i >= 0 {
			return key[:i]
		}
	case strings.HasSuffix(key, `"`):
		// The first quote from which a quoted part reaches to the end begins the last part.
		for i := 0; i < len(key); i++ {
			if key[i] != '"' || (i > 0 && key[i-1] != '.') {
				continue
			}
			if quoted, err := strconv.QuotedPrefix(key[i:]); err == nil && len(quoted) == len(key)-i {
				return strings.TrimSuffix(key[:i], ".")
			}
		}
	}
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i]
	}
	return ""
}

// bare tells whether name can stand unquoted as a TOML key.
func bare(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return name != ""
}
