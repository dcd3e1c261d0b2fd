package queuetest

import (
	"bufio"
	"reflect"
	"strings"
	"testing"
)

func TestReplies(t *testing.T) {
	rows := []struct {
		name, in string
		want     any
		fails    bool
	}{
		{"status", "+OK\r\n", "OK", false},
		{"error", "-NOPERM no\r\n", Error("NOPERM no"), false},
		{"number", ":-7\r\n", int64(-7), false},
		{"text", "$5\r\na\r\nbc\r\n", "a\r\nbc", false},
		{"empty text", "$0\r\n\r\n", "", false},
		{"no text", "$-1\r\n", nil, false},
		{"no list", "*-1\r\n", nil, false},
		{"list", "*3\r\n:1\r\n*1\r\n$1\r\nx\r\n-ERR y\r\n", []any{int64(1), []any{"x"}, Error("ERR y")}, false},
		{"nothing", "", nil, true},
		{"empty line", "\r\n", nil, true},
		{"unknown kind", "!3\r\nabc\r\n", nil, true},
		{"no number", "$x\r\n", nil, true},
		{"cut text", "$5\r\nab", nil, true},
		{"cut list", "*2\r\n:1\r\n", nil, true},
		{"too large", "$1048577\r\n", nil, true},
		{"list too large", "*1048577\r\n", nil, true},
	}
	for _, r := range rows {
		c := conn{in: bufio.NewReader(strings.NewReader(r.in))}
		got, err := c.read()
		if (err != nil) != r.fails || !r.fails && !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s: %#v, %v; want %#v", r.name, got, err, r.want)
		}
	}
}

// TestEveryUserHasRules: a server is started with the users that the constants name, each with rights.
func TestEveryUserHasRules(t *testing.T) {
	users := []string{UserWorker, UserProducer, UserKV, UserStore, UserOperator, UserWatcher, UserAdmin}
	for _, user := range users {
		if Rules(user) == "" {
			t.Errorf("%s has no rights", user)
		}
	}
	if len(rules) != len(users) || Rules("nobody") != "" {
		t.Errorf("there are rights of %d users, want %d", len(rules), len(users))
	}
}
