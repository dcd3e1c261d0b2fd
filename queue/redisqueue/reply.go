package redisqueue

import (
	"fmt"

	"github.com/caisson-run/caisson/queue"
)

// Replies are read here and not by go-redis, whose map of a stream entry's fields
// would hide that a field came twice.

// entriesOf reads the entries of one stream: [[id, [field, value, ...]], ...].
// Entries without fields were deleted while somebody held them: they are counted
// in vanished and named in gone.
func entriesOf(lane queue.Lane, reply any) (out []queue.Delivery, gone []string, err error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, nil, fmt.Errorf("entries of %s: %T, want a list", lane, reply)
	}
	for _, raw := range list {
		if raw == nil {
			continue // deleted, and Redis names it elsewhere
		}
		pair, ok := raw.([]any)
		if !ok || len(pair) != 2 {
			return nil, nil, fmt.Errorf("entry of %s: %T, want a pair", lane, raw)
		}
		id, ok := pair[0].(string)
		if !ok || id == "" || len(id) > queue.IDBytesMax {
			return nil, nil, fmt.Errorf("entry of %s: bad id", lane)
		}
		if pair[1] == nil {
			gone = append(gone, id)
			continue
		}
		d := queue.Delivery{Lane: lane, Entry: id}
		if size, large := pair[1].(int64); large { // see lua/take_over.lua
			d.Fault = fmt.Sprintf("%d bytes, at most %d", size, queue.MessageBytesMax)
		} else {
			fields, ok := pair[1].([]any)
			d.Message, d.Fault = messageOf(fields, ok)
		}
		out = append(out, d)
	}
	return out, gone, nil
}

// messageOf returns the value of the one field "e", or why there is none.
func messageOf(fields []any, ok bool) ([]byte, string) {
	if !ok {
		return nil, "fields are no list"
	}
	if len(fields) != 2 {
		return nil, fmt.Sprintf("%d fields, want one", len(fields)/2)
	}
	name, _ := fields[0].(string)
	value, isText := fields[1].(string)
	if name != "e" || !isText {
		return nil, `no field "e"`
	}
	if value == "" {
		return nil, `field "e" is empty`
	}
	return []byte(value), ""
}
