package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// policy explain tells orders from messages by what they are.
func TestExplainOrders(t *testing.T) {
	key, err := envelope.GenerateKey(envelope.Operate, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := "version = 1\naudience = \"prod\"\n[[principal]]\nname = \"ops\"\npurpose = \"operate\"\nkeys = [%q]\n"
	rules, err := policy.Parse("policy.toml", fmt.Appendf(nil, text, key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	order := envelope.Order{ID: envelope.NewMessageID(), Audience: "prod", Queue: "jobs", Act: envelope.ActPause, Issued: now, Expires: now.Add(time.Hour)}
	signed, err := envelope.SignOrder(order, key)
	if err != nil {
		t.Fatal(err)
	}
	if x := explainMessage(rules, signed, nil, now); x.Verdict != "allowed" || len(x.Steps) == 0 {
		t.Errorf("a good order: %+v", x)
	}
	if x := explainMessage(rules, signed, nil, now.Add(2*time.Hour)); x.Code != envelope.CodeExpired {
		t.Errorf("an expired order: %+v", x)
	}
	release := []byte("\x94\x01\xa1x\xc4\x00\x91\x93\xc4\x10aaaaaaaaaaaaaaaa\xc4\x40" + string(make([]byte, 64)) + "\xc0")
	if x := explainMessage(rules, release, nil, now); x.Code != envelope.CodeType {
		t.Errorf("neither: %+v", x)
	}
}
