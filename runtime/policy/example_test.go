package policy_test

import (
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// A message goes from bytes to an authorised task; the same sender may not send another task.
func Example() {
	key, err := envelope.GenerateKey(envelope.Submit, nil)
	if err != nil {
		panic(err)
	}
	rules, err := policy.Parse("policy.toml", fmt.Appendf(nil, `
		version  = 1
		audience = "prod"
		tenant   = [{ name = "acme" }]

		[[role]]
		name = "images"
		[[role.grant]]
		queues = ["media"]
		tasks  = ["image.*"]
		caps   = ["kv rw thumbs/*"]

		[[principal]]
		name    = "billing"
		purpose = "submit"
		tenant  = "acme"
		keys    = [%q]
		roles   = ["images"]
	`, key.Public()))
	if err != nil {
		panic(err)
	}
	now := time.Now()
	for _, name := range []string{"image.thumbnail", "mail.send"} {
		msg, err := envelope.Sign(envelope.Task{
			ID: envelope.NewMessageID(), Audience: "prod", Tenant: "acme", Queue: "media", Task: name,
			Issued: now, Expires: now.Add(time.Minute),
		}, key)
		if err != nil {
			panic(err)
		}
		v, err := envelope.Reader{Keys: rules, Audience: rules.Audience()}.Open(msg, now)
		if err != nil {
			panic(err)
		}
		task, err := rules.Authorize(v, now)
		fmt.Println(task.Principal(), task.Grant().Lines(), err)
	}
	// Output:
	// billing [kv rw thumbs/*] <nil>
	//  [] policy: billing may not send task mail.send to queue media (policy.toml: no rule allows it)
}
