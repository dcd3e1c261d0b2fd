package strict

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// kind is what a TOML value is; its text stands in faults.
type kind string

const (
	kindTable  kind = "a table"
	kindArray  kind = "an array"
	kindString kind = "a string"
	kindInt    kind = "an integer"
	kindFloat  kind = "a number with a fraction"
	kindBool   kind = "a boolean"
	kindTime   kind = "a date or time"
)

// A node is one value of the file with its place.
type node struct {
	kind   kind
	offset int    // of the key, or of the array element
	value  int    // of the value's first byte, for strings
	plain  bool   // a string whose text stands in the file byte for byte, between one-byte quotes
	text   string // a string's content; any other scalar as written
	table  map[string]*node
	order  []string // the table's keys as they came
	items  []*node

	header bool // a table that a [header] has named: a second one is a fault
	closed bool // written inline: nothing may be added from outside
	tables bool // an array that [[headers]] made
}

// A builder makes the tree with the library's parser. The library's decoder gives up at the first
// fault and matches keys in any case, so it serves here only as the judge of validity.
type builder struct {
	file     *File
	parser   unstable.Parser
	items    int
	complete bool
	stop     bool // a bound is broken: no more is read
}

func (b *builder) build() *node {
	root := &node{kind: kindTable, table: map[string]*node{}}
	at := place{table: root}
	b.parser.Reset(b.file.data)
	for !b.stop && b.parser.NextExpression() {
		e := b.parser.Expression()
		switch e.Kind {
		case unstable.KeyValue:
			if at.table != nil {
				b.keyValue(at, e)
			}
		case unstable.Table, unstable.ArrayTable:
			// A header that has a fault gives no table: its keys have no place to go, and faults
			// about them would only repeat the one.
			at = b.header(root, e)
		}
	}
	if b.stop {
		return root
	}
	if err := b.parser.Error(); err != nil {
		b.syntax(err)
		return root
	}
	b.complete = true
	return root
}

// judge asks the library's decoder whether the document is valid TOML, and takes over the fault
// that neither builder nor fill saw (such as a dotted table opened again with a header).
func (f *File) judge() {
	var ignored map[string]any
	err := toml.Unmarshal(f.data, &ignored)
	if err == nil {
		return
	}
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		f.fault(0, "", "%s", err)
		return
	}
	line, column := at.Position()
	for _, said := range f.faults {
		if said.Line == line {
			return // in better words
		}
	}
	f.complete = false
	offset := 0
	if line >= 1 && line <= len(f.lines) {
		offset = min(f.lines[line-1]+column-1, len(f.data))
	}
	f.fault(offset, "", "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

func (b *builder) syntax(err error) {
	var at *unstable.ParserError
	offset := 0
	if errors.As(err, &at) {
		// The highlight is a piece of data: their capacities end at the same byte.
		if o := cap(b.file.data) - cap(at.Highlight); o >= 0 && o <= len(b.file.data) {
			offset = o
		}
	}
	if r, _ := utf8.DecodeRune(b.file.data[offset:]); r >= utf8.RuneSelf && offset < len(b.file.data) {
		b.file.fault(offset, "", "%#U cannot stand here, whatever it looks like: outside of quotes and comments a file is plain ASCII", r)
		return
	}
	b.file.fault(offset, "", "%s", err)
}

// A place is the table that a line's keys belong to, and how it is written.
type place struct {
	table *node
	path  string
	depth int
}

// header enters the table of a [header] or [[header]]; on a fault the place has no table.
func (b *builder) header(root *node, e *unstable.Node) place {
	at, path, depth := root, "", 0
	for it := e.Key(); it.Next(); {
		part := it.Node()
		name, offset := string(part.Data), int(part.Raw.Offset)
		path = join(path, name)
		if depth++; !b.count(offset, path, depth) || !b.roomIn(at, offset, path) {
			return place{}
		}
		next := at.table[name]
		last := part.Next() == nil || part.Next().Kind != unstable.Key
		if last && e.Kind == unstable.ArrayTable {
			return b.appendTable(at, next, name, place{path: path, depth: depth}, offset)
		}
		if next == nil {
			next = at.add(name, &node{kind: kindTable, offset: offset, table: map[string]*node{}})
		}
		if next.tables {
			path = element(path, len(next.items)-1)
			next = next.items[len(next.items)-1]
		}
		if next.kind != kindTable || next.closed {
			b.file.fault(offset, path, "is %s already (line %d) and cannot be opened as a table", next.kind, b.line(next))
			return place{}
		}
		if last && next.header {
			b.file.fault(offset, path, "the table is opened twice (first in line %d)", b.line(next))
			return place{}
		}
		if last {
			next.header = true
		}
		at = next
	}
	return place{table: at, path: path, depth: depth}
}

func (b *builder) appendTable(at, array *node, name string, p place, offset int) place {
	if array == nil {
		array = at.add(name, &node{kind: kindArray, offset: offset, tables: true})
	}
	if !array.tables {
		b.file.fault(offset, p.path, "is %s already (line %d) and cannot be an array of tables", array.kind, b.line(array))
		return place{}
	}
	item := &node{kind: kindTable, offset: offset, table: map[string]*node{}, header: true}
	p.path = element(p.path, len(array.items))
	array.items = append(array.items, item)
	p.table = item
	return p
}

// keyValue puts one key = value, with a key that may be dotted, into a table.
func (b *builder) keyValue(in place, e *unstable.Node) {
	var parts []*unstable.Node
	for it := e.Key(); it.Next() && it.Node().Kind == unstable.Key; {
		parts = append(parts, it.Node())
		if len(parts) > DepthMax {
			break // count refuses it below
		}
	}
	at, path, depth := in.table, in.path, in.depth
	for i, part := range parts {
		name, offset := string(part.Data), int(part.Raw.Offset)
		path = join(path, name)
		if depth++; !b.count(offset, path, depth) || !b.roomIn(at, offset, path) {
			return
		}
		old := at.table[name]
		if i == len(parts)-1 {
			if old != nil {
				b.file.fault(offset, path, "is set twice (first in line %d)", b.line(old))
				return
			}
			v := b.value(e.Value(), offset, path, depth)
			v.offset = offset
			at.add(name, v)
			return
		}
		if old == nil {
			old = at.add(name, &node{kind: kindTable, offset: offset, table: map[string]*node{}})
		}
		if old.kind != kindTable || old.closed {
			b.file.fault(offset, path, "is %s already (line %d) and cannot take further keys", old.kind, b.line(old))
			return
		}
		at = old
	}
}

// value turns the parser's value into a node; outer is where it stands if the parser does not say.
func (b *builder) value(v *unstable.Node, outer int, path string, depth int) *node {
	n := &node{offset: outer, value: outer}
	if v.Raw.Length > 0 {
		n.offset, n.value = int(v.Raw.Offset), int(v.Raw.Offset)
	}
	n.text = string(v.Data)
	switch v.Kind {
	case unstable.Array:
		n.kind = kindArray
		for it := v.Children(); !b.stop && it.Next(); {
			item := element(path, len(n.items))
			if it.Node().Kind != unstable.Comment && b.count(n.offset, item, depth+1) {
				n.items = append(n.items, b.value(it.Node(), n.offset, item, depth+1))
			}
		}
	case unstable.InlineTable:
		n.kind, n.table, n.closed = kindTable, map[string]*node{}, true
		for it := v.Children(); !b.stop && it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				b.keyValue(place{table: n, path: path, depth: depth}, it.Node())
			}
		}
	case unstable.String:
		n.kind = kindString
		raw := b.parser.Raw(v.Raw)
		n.plain = len(raw) >= 2 && string(raw[1:len(raw)-1]) == n.text
	case unstable.Integer:
		n.kind = kindInt
	case unstable.Float:
		n.kind = kindFloat
	case unstable.Bool:
		n.kind = kindBool
	default:
		n.kind = kindTime
	}
	return n
}

// count bounds items, depth and the length of keys.
func (b *builder) count(offset int, path string, depth int) bool {
	if b.stop {
		return false
	}
	if depth > DepthMax {
		b.file.fault(offset, path, "nested deeper than %d levels", DepthMax)
		b.stop = true
		return false
	}
	if len(path) > KeySizeMax {
		b.file.fault(offset, path, "the key has %d bytes, more than %d", len(path), KeySizeMax)
		b.stop = true
		return false
	}
	if b.items++; b.items > ItemsMax {
		b.file.fault(offset, path, "the file has more than %d keys and array elements", ItemsMax)
		b.stop = true
		return false
	}
	return true
}

// roomIn bounds the keys of one table. What was one too many is noticed at the next.
func (b *builder) roomIn(table *node, offset int, path string) bool {
	if len(table.order) <= TableKeysMax {
		return true
	}
	b.file.fault(offset, path, "the table that it stands in has more than %d keys", TableKeysMax)
	b.stop = true
	return false
}

func (b *builder) line(n *node) int {
	line, _ := b.file.position(n.offset)
	return line
}

func (n *node) add(name string, child *node) *node {
	n.table[name] = child
	n.order = append(n.order, name)
	return child
}
