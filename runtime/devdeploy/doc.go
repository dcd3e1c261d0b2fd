// Package devdeploy turns a few facts into the settings of a deployment that lives as long as a demo, a test or a benchmark: worker.toml, the
// section [redis] of it and of client.toml, and the keys in a policy.toml.
//
// It never makes a key, starts nothing, writes no file and reads none: what it returns is text, and what is wrong in it the worker says. It
// knows the keys of docs/reference/worker.md that such deployments set, and no others; a policy's rules are its caller's own.
//
//	worker := devdeploy.Worker{Name: "w", Queues: []string{"jobs"}, Policy: "policy.toml", Key: "worker.key", Store: "modules", Redis: where}
//	os.WriteFile("worker.toml", []byte(worker.Text()), 0o600)
//
// Real deployments are written by their operators.
package devdeploy
