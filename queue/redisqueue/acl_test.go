package redisqueue_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisacl"
)

var updateACL = flag.Bool("update-acl", false, "write testdata/acl.golden anew, from the redis-server on the path")

// aclKeys are keys of each kind, ours and others'.
var aclKeys = []string{
	"cs:{jobs}:in:acme:1", "cs:{jobs}:in:other:1", "cs:{jobs}:in:acme2:1", "cs:{jobs}:st:acme", "cs:{jobs}:st:other",
	"cs:{jobs}:due", "cs:{jobs}:parked", "cs:{jobs}:dead",
	"cs:{jobs}:res:" + queuetest.Issuer + ":id", "cs:{jobs}:res:" + queuetest.Operator + ":id", "cs:{jobs}:res:ffff:id",
	"cs:{jobs}:mode", "cs:{jobs}:cancel:acme:id", "cs:{jobs}:cancel:other:id", "cs:{jobs}:cancels", "cs:{jobs}:orders",
	"cs:{jobs}:events", "cs:{jobs}:prog:acme:id", "cs:{jobs}:prog:other:id",
	"cs:kv:{acme}:values", "cs:kv:{other}:values", "cs:mod:b:m", "cs:mod:p:{cs:mod:b:m}x", "cs:mod:names", "x:cs:{jobs}:in:acme:1", "elsewhere",
}

var aclChannels = []string{
	"cs:{jobs}:orders", "cs:{jobs}:done:" + queuetest.Issuer, "cs:{jobs}:done:" + queuetest.Operator, "cs:{jobs}:done:ffff", "elsewhere",
}

// dryRun asks the server what it would say to commands of a user: "" for each that it would run.
func dryRun(t *testing.T, admin *redis.Client, user string, commands [][]string) []string {
	t.Helper()
	pipe := admin.Pipeline()
	cmds := make([]*redis.Cmd, len(commands))
	for i, c := range commands {
		args := []any{"ACL", "DRYRUN", user}
		for _, word := range c {
			args = append(args, word)
		}
		cmds[i] = pipe.Do(t.Context(), args...)
	}
	_, _ = pipe.Exec(t.Context()) // each command's own answer counts
	out := make([]string, len(commands))
	for i, cmd := range cmds {
		text, err := cmd.Text()
		switch {
		case err != nil:
			out[i] = err.Error()
		case text != "OK":
			out[i] = text
		}
	}
	return out
}

// everyCommand returns each command and subcommand of the server with as many words as it needs at least.
func everyCommand(t *testing.T, admin *redis.Client) [][]string {
	t.Helper()
	reply, err := admin.Do(t.Context(), "COMMAND").Slice()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	var add func(info []any)
	add = func(info []any) {
		words := strings.Split(info[0].(string), "|")
		if subs, ok := info[len(info)-1].([]any); ok && len(subs) > 0 {
			for _, sub := range subs {
				add(sub.([]any))
			}
			return
		}
		arity := info[1].(int64)
		for int64(len(words)) < max(arity, -arity) {
			words = append(words, "1") // a number, where one is read for the place of keys
		}
		out = append(out, words)
	}
	for _, info := range reply {
		add(info.([]any))
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(commandName(a), commandName(b)) })
	return out
}

// commandName returns the name of a command as the rules write it.
func commandName(words []string) string {
	switch words[0] {
	case "acl", "client", "cluster", "command", "config", "function", "latency", "memory", "module", "object", "pubsub", "script", "slowlog", "xgroup", "xinfo":
		if len(words) > 1 {
			return words[0] + "|" + words[1]
		}
	}
	return words[0]
}

// onKey returns a command of as few words as it may have, on a key.
func onKey(words []string, key string) []string {
	switch name := commandName(words); name {
	case "eval", "evalsha":
		return []string{name, "x", "1", key}
	case "xread":
		return []string{name, "STREAMS", key, "0"}
	case "xreadgroup":
		return []string{name, "GROUP", "g", "c", "STREAMS", key, ">"}
	}
	out := slices.Clone(words)
	if strings.Contains(commandName(words), "|") {
		out[2] = key
	} else {
		out[1] = key
	}
	return out
}

// TestEveryCommand asks Redis of each of its commands whether each role may send it, and of each role's commands to which
// keys and channels. What is not in the golden file, such as a command of a newer Redis, must be denied to all.
func TestEveryCommand(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	admin := adminOf(t, s.Login(queuetest.UserAdmin))
	commands := everyCommand(t, admin)
	var got []string
	may := map[redisacl.Role][]string{}
	words := map[string][]string{}
	for _, role := range redisacl.Roles() {
		for i, said := range dryRun(t, admin, string(role), commands) {
			if strings.Contains(said, "to run the") {
				continue
			}
			if strings.HasPrefix(said, "ERR") {
				t.Errorf("%s: %v: %s", role, commands[i], said)
			}
			may[role] = append(may[role], commandName(commands[i]))
		}
	}
	for _, c := range commands {
		words[commandName(c)] = c
		var roles []string
		for _, role := range redisacl.Roles() {
			if slices.Contains(may[role], commandName(c)) {
				roles = append(roles, string(role))
			}
		}
		if len(roles) == 0 {
			roles = []string{"nobody"}
		}
		got = append(got, fmt.Sprintf("command %s: %s", commandName(c), strings.Join(roles, " ")))
	}
	for _, role := range redisacl.Roles() {
		got = append(got, reach(t, admin, role, may[role], words)...)
	}
	const path = "testdata/acl.golden"
	if *updateACL {
		if err := os.WriteFile(path, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, line := range got {
		if !slices.Contains(golden, line) && !strings.HasSuffix(line, ": nobody") {
			t.Errorf("not in %s: %s", path, line)
		}
	}
	for _, line := range golden {
		if !slices.Contains(got, line) && !strings.HasSuffix(line, ": nobody") {
			t.Errorf("in %s and not so: %s", path, line)
		}
	}
}

// reach returns, for each key and channel, what of its commands a role may do to it.
func reach(t *testing.T, admin *redis.Client, role redisacl.Role, commands []string, words map[string][]string) []string {
	var out []string
	line := func(what string, may []string) {
		if len(may) == 0 {
			may = []string{"nothing"}
		}
		out = append(out, fmt.Sprintf("%s %s: %s", role, what, strings.Join(may, " ")))
	}
	keyless := []string{"asking", "multi", "exec", "cluster|slots", "auth", "hello", "quit", "reset", "ping", "time", "publish", "subscribe"}
	for _, key := range aclKeys {
		var names []string
		var tries [][]string
		for _, name := range commands {
			if !slices.Contains(keyless, name) {
				names, tries = append(names, name), append(tries, onKey(words[name], key))
			}
		}
		var may []string
		for i, said := range dryRun(t, admin, string(role), tries) {
			if strings.HasPrefix(said, "ERR") {
				t.Errorf("%s: %v: %s", role, tries[i], said)
			}
			if said == "" {
				may = append(may, names[i])
			}
		}
		line(key, may)
	}
	for _, channel := range aclChannels {
		var may []string
		for _, name := range []string{"publish", "subscribe"} {
			words := []string{name, channel, "1"}
			if name == "subscribe" {
				words = words[:2]
			}
			if slices.Contains(commands, name) && dryRun(t, admin, string(role), [][]string{words})[0] == "" {
				may = append(may, name)
			}
		}
		line("channel "+channel, may)
	}
	return out
}
