package redisacl

import (
	"fmt"
	"strings"
)

// Role is what a user of Redis does for Caisson.
type Role string

const (
	Worker   Role = "worker"
	Producer Role = "producer"
	KV       Role = "kv"
	Store    Role = "store"
	Operator Role = "operator"
	Watcher  Role = "watcher"
)

// Roles returns all roles, in the order in which they are documented.
func Roles() []Role { return []Role{Worker, Producer, KV, Store, Operator, Watcher} }

// Scope confines a role. Names are used as they are: check them first, since a star in one is a pattern.
type Scope struct {
	// Queues are the queues that the user may work with. None: all.
	Queues []string

	// Tenant is whose lanes a Producer may use (required), and whose values a KV may (none: all).
	Tenant string

	// KeyID is the key whose results a Producer or an Operator may read. Required for both.
	KeyID string
}

// defaultUser keeps its rights though it is off, see Default.
const defaultUser = "user default off ~* &* +@all"

// Default returns the line of an ACL file for the user "default": off, so that nobody can be it, and yet with every right.
// Redis 7.0 replays its append-only file as this user, and without rights it drops each transaction of the file, that is,
// each effect of a script, and starts with what is left. Seen with 7.0.15; the server's log says "CRITICAL ...
// AOF-loading-client ... NOPERM".
func Default() string { return defaultUser }

// base takes everything away; each role's rights come after it.
//
// cluster|slots is how a client of a cluster learns which node has which keys, asking is how it follows one that is just being
// moved; elsewhere nothing sends them.
const base = "resetkeys resetchannels -@all +ping +asking +cluster|slots"

// Rules returns the rights of a role in the words of ACL SETUSER.
// Errors: one that says what the scope lacks.
func Rules(role Role, scope Scope) (string, error) {
	if scope.Tenant == "" && role == Producer {
		return "", fmt.Errorf("acl: role %s needs a tenant", role)
	}
	if scope.KeyID == "" && (role == Producer || role == Operator) {
		return "", fmt.Errorf("acl: role %s needs a key id", role)
	}
	switch role {
	case Worker:
		return scope.worker(), nil
	case Producer:
		return scope.producer(), nil
	case KV:
		return scope.kv(), nil
	case Store:
		// In parentheses of their own, so that nothing that is stored can be taken away: it can be written over, which shows.
		return base + " +set +getrange +zadd +zrange +multi +exec ~cs:mod:* (+setrange +pexpire +persist ~cs:mod:p:*)" +
			" (+renamenx ~cs:mod:p:* %W~cs:mod:b:*)", nil
	case Operator:
		return scope.operator(), nil
	case Watcher:
		return base + " " + scope.watching(), nil
	}
	return "", fmt.Errorf("acl: no role %q", role)
}

// SentinelRules returns the rights of the user as whom Sentinels are asked for the master, in the words of ACL SETUSER: for the
// Sentinels themselves, whose users are their own.
func SentinelRules() string {
	return "resetkeys resetchannels -@all +ping +subscribe +sentinel|get-master-addr-by-name +sentinel|sentinels" +
		" &+switch-master &+replica-reconf-done"
}

// keys returns the pattern for each queue of the scope: before + queue's prefix + after.
func (s Scope) keys(before, after string) string {
	queues := s.Queues
	if len(queues) == 0 {
		queues = []string{"*"}
	}
	var words []string
	for _, q := range queues {
		words = append(words, before+"cs:{"+q+"}:"+after)
	}
	return strings.Join(words, " ")
}

func (s Scope) worker() string {
	return strings.Join([]string{
		base, "+time +eval +evalsha",
		"+xreadgroup +xautoclaim +xclaim +xpending +xack +xdel +xadd +xrange +xlen",
		"+xgroup|create +xgroup|delconsumer +xgroup|setid +xinfo|consumers +xinfo|groups",
		"+get +mget +set +del +exists +strlen +pexpire +pttl +hget +hmget +hset +hexists +hdel +rpush +lpop +publish +subscribe",
		"+sadd +srem +scard +smembers +xtrim",
		"+zadd +zrem +zrange +zrangebyscore +zremrangebyscore +zpopmin +zscore +zcount +zcard +getrange",
		s.keys("~", "*"), "%R~cs:mod:*", s.keys("&", "done:*"), s.keys("&", "orders"),
	}, " ")
}

func (s Scope) producer() string {
	return strings.Join([]string{
		base, "+xadd +getrange +hget +subscribe +publish",
		s.keys("%W~", "in:"+s.Tenant+":*"), s.keys("%W~", "cancels"), s.keys("&", "orders"),
		s.keys("%R~", "res:"+s.KeyID+":*"), s.keys("&", "done:"+s.KeyID),
		s.keys("%R~", "st:"+s.Tenant), s.keys("%R~", "prog:"+s.Tenant+":*"),
		// In parentheses of its own, so that no lane can be overwritten.
		"(+set " + s.keys("%W~", "cancel:"+s.Tenant+":*") + ")",
	}, " ")
}

func (s Scope) kv() string {
	keys := "~cs:kv:*"
	if s.Tenant != "" {
		keys = "~cs:kv:{" + s.Tenant + "}:*"
	}
	return base + " +time +eval +evalsha +hget +hset +hdel +hstrlen +get +incrby +decrby" +
		" +zadd +zrem +zscore +zrangebyscore +zrangebylex " + keys
}

func (s Scope) operator() string {
	return strings.Join([]string{
		base, "+xadd +publish +subscribe", s.keys("%W~", "cancels"), s.keys("%W~", "orders"), s.keys("&", "orders"),
		s.keys("%R~", "res:"+s.KeyID+":*"), s.keys("&", "done:"+s.KeyID),
		s.watching(),
		"(+set " + s.keys("%W~", "mode") + " " + s.keys("%W~", "cancel:*") + ")",
		// In parentheses of its own: it holds whole messages, which nothing else here lets anybody read.
		"(+xrange " + s.keys("%R~", "dead") + ")",
	}, " ")
}

// watching lets a user see how things stand. Counting is in parentheses of its own, so that whoever may count the messages
// of a lane can read none.
func (s Scope) watching() string {
	return strings.Join([]string{
		"+getrange +hget +xread +xrevrange",
		s.keys("%R~", "mode"), s.keys("%R~", "events"), s.keys("%R~", "st:*"), s.keys("%R~", "prog:*"),
		"(+xlen +xpending +zcard " + s.keys("%R~", "in:*") + " " + s.keys("%R~", "due") + " " + s.keys("%R~", "dead") + ")",
	}, " ")
}
