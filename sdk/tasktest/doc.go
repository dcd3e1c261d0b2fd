// Package tasktest runs a task inside go test: the module that ships, in the sandbox that production uses, under the
// manifest that the operator reads.
//
// It never mocks the sandbox, the manifest or a capability's check. What it puts in the place of the world is what
// stands behind a capability: a map for the key-value store, a handler for the web. No broker, key or policy takes part, so what
// a sender may do is not what is tested here: the task holds exactly what its manifest needs.
//
//	func TestGreeting(t *testing.T) {
//		task := tasktest.Load(t, ".") // builds for wasip1, reads ./task.toml
//		task.KV["greeting/en"] = "hello"
//		var got Reply
//		if err := task.Run(t, Request{Key: "greeting/en"}, &got); err != nil || got.Text != "HELLO" {
//			t.Errorf("got %+v, %v", got, err)
//		}
//		task.Refuses(t, Request{Key: "payroll/ceo"}, "task.failed")
//	}
//
// Building and compiling takes a second or two, and ten times that under the race detector. Both are done once per folder and test binary, and compiled modules are
// kept in the user's cache folder until they change. Each run starts from a clean module. Tests of one folder may run in parallel when each has loaded its own [Task].
//
// An input of type []byte is sent as it is, all others as JSON; the result is read the same way.
package tasktest
