package envelope_test

import (
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// known is a keyring of one key; a worker's is its policy.
type known struct{ key envelope.PublicKey }

func (k known) SubmitKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	return k.key, id == k.key.ID()
}

func Example() {
	key, err := envelope.GenerateKey(envelope.Submit, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	sent := time.Now()
	msg, err := envelope.Sign(envelope.Task{
		ID:       envelope.NewMessageID(),
		Audience: "prod", Tenant: "acme", Queue: "images", Task: "image.thumbnail",
		Issued: sent, Expires: sent.Add(5 * time.Minute),
		Payload: []byte(`{"url":"https://img.example.com/1.png"}`),
	}, key)
	if err != nil {
		fmt.Println(err)
		return
	}

	worker := envelope.Reader{Keys: known{key.Public()}, Audience: "prod"}
	v, err := worker.Open(msg, time.Now())
	fmt.Println(v.Task().Task, v.Key() == key.Public(), err)

	msg[100] ^= 1
	_, err = worker.Open(msg, time.Now())
	fmt.Println(err.(interface{ Code() string }).Code())
	// Output:
	// image.thumbnail true <nil>
	// envelope.signature
}
