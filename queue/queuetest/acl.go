package queuetest

import "github.com/caisson-run/caisson/queue/redisacl"

// Users of a Server: one for each role of redisacl, with the rights that `caisson redis acl` prints.
const (
	UserWorker   = "worker"   // queue.Queue, queue.Maintainer, queue.Listener, queue.Admin; emits events; reads modules
	UserProducer = "producer" // queue.Sender, queue.Results and queue.Orders' Cancel, of one tenant and one issuer
	UserKV       = "kv"       // values of tenants
	UserStore    = "store"    // writes modules and releases
	UserOperator = "operator" // queue.Orders, queue.Inspector, and what a watcher may
	UserWatcher  = "watcher"  // follows events; reads progress, depths and states
	UserAdmin    = "admin"    // tests only: everything
)

// Tenant and Issuer are whose lanes and results UserProducer may use; UserOperator's answers are kept under Operator.
const (
	Tenant   = "acme"
	Issuer   = "00112233445566778899aabbccddeeff"
	Operator = "ffeeddccbbaa99887766554433221100"
)

// rules are the rights of each user, in the words of ACL SETUSER.
var rules = makeRules()

func makeRules() map[string]string {
	out := map[string]string{UserAdmin: "~* &* +@all"}
	scopes := map[redisacl.Role]redisacl.Scope{
		redisacl.Producer: {Tenant: Tenant, KeyID: Issuer},
		redisacl.Operator: {KeyID: Operator},
	}
	for _, role := range redisacl.Roles() {
		words, err := redisacl.Rules(role, scopes[role])
		if err != nil {
			panic("internal error: " + err.Error())
		}
		out[string(role)] = words
	}
	return out
}

// Rules returns the rights of a user in the words of ACL SETUSER, "" for others.
func Rules(user string) string { return rules[user] }
