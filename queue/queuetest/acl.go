package queuetest

// Users of a Server, and of docs/reference/redis.md, which a test compares.
const (
	UserWorker   = "worker"   // queue.Queue, queue.Tender, queue.Inspector; reads modules
	UserProducer = "producer" // queue.Sender and queue.Results of one tenant and one issuer
	UserKV       = "kv"       // values of tenants
	UserStore    = "store"    // writes modules and releases
	UserAdmin    = "admin"    // tests only: everything
)

// Tenant and Issuer are whose lanes and results UserProducer may use.
const (
	Tenant = "acme"
	Issuer = "00112233445566778899aabbccddeeff"
)

// base takes everything away; each user's rights come after it.
const base = "resetkeys resetchannels -@all "

// rules are the rights of each user, in the words of ACL SETUSER.
var rules = map[string]string{
	UserWorker: base + "+ping +time +eval +evalsha" +
		" +xreadgroup +xautoclaim +xclaim +xpending +xack +xdel +xadd +xrange +xlen" +
		" +xgroup|create +xgroup|delconsumer +xinfo|consumers" +
		" +get +set +del +hget +hset +hexists +hdel +publish" +
		" +zadd +zrem +zrange +zrangebyscore +zcard +getrange" +
		" ~cs:{*}:* %R~cs:mod:* &cs:{*}:done:*",
	UserProducer: base + "+ping +xadd +getrange +subscribe" +
		" %W~cs:{*}:in:" + Tenant + ":* %R~cs:{*}:res:" + Issuer + ":* &cs:{*}:done:" + Issuer,
	UserKV: base + "+ping +time +eval +evalsha" +
		" +hget +hset +hdel +hstrlen +get +incrby +decrby +zadd +zrem +zscore +zrangebyscore +zrangebylex" +
		" ~cs:kv:*",
	UserStore: base + "+ping +set +getrange +zadd +zrange" +
		" ~cs:mod:*",
	UserAdmin: "~* &* +@all",
}

// Rules returns the rights of a user in the words of ACL SETUSER, "" for others.
func Rules(user string) string { return rules[user] }
