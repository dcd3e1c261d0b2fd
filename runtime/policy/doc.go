// Package policy turns a verified envelope into an authorised task, or into a refusal that names its reason.
//
// It never reads a file, a clock, the network or the environment, never looks into a payload, and grants nothing
// that a line of the operator's policy.toml does not grant: rules only allow, and what no rule allows is refused.
//
// The file, strict TOML (unknown keys are faults; all faults come at once, with line and column):
//
//	version  = 1
//	audience = "prod"
//
//	[[tenant]]                     # the isolation unit for data
//	name = "acme"
//	kv   = "64MiB"
//
//	[[role]]
//	name = "images"
//	[[role.grant]]
//	queues = ["media"]
//	tasks  = ["image.*"]           # a name, or all names below one
//	caps   = ["http GET https://img.example.com/*"]
//	limits = { memory = "128MiB", wall = "10s" }
//
//	[[principal]]                  # who may send
//	name    = "billing"
//	purpose = "submit"
//	tenant  = "acme"
//	keys    = ["caisson-submit-public-…"]
//	roles   = ["images"]
//
//	[[publisher]]                  # who may publish which tasks
//	name  = "media-team"
//	keys  = ["caisson-publish-public-…"]
//	tasks = ["image.*"]
//
//	[[worker]]                     # whose results count
//	name = "worker-1"
//	keys = ["caisson-worker-public-…"]
//
// Decisions, in this order; the first that fails is the answer: the key is known, it is a submit key, it is not
// revoked, its validity has begun, and has not ended, the audience is ours, the tenant is the principal's, a grant of
// a role allows this task in this queue, the payload fits, what the sender narrows can be read. Several grants add up: capabilities are united, and of the
// limits that any of them states the loosest counts; so the order of rules never matters.
//
// [Policy.Explain] takes the very same steps as [Policy.Authorize] and notes the line of the file behind each.
//
// A Policy does not change once parsed and may be used by any number of goroutines. What the file may hold is bounded
// in limits.go; the page for operators is docs/reference/policy.md.
package policy
