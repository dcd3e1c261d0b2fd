package devdeploy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/devdeploy"
)

func Example() {
	w := devdeploy.Worker{
		Name: "w", Queues: []string{"jobs", "mail"}, Policy: "policy.toml", Key: "worker.key", Lease: 2500 * time.Millisecond, ResultTTL: time.Hour, Store: "modules",
		Redis: devdeploy.Redis{Address: "127.0.0.1:6379", User: "worker", PasswordFile: "worker.pass", CA: "ca.pem"},
	}
	fmt.Print(w.Text())
	// Output:
	// name          = "w"
	// queues        = ["jobs", "mail"]
	// policy        = "policy.toml"
	// key           = "worker.key"
	// lease         = "2500ms"
	// result_ttl    = "3600s"
	//
	// [store]
	// dir           = "modules"
	//
	// [sandbox]
	//
	// [redis]
	// address       = "127.0.0.1:6379"
	// user          = "worker"
	// password_file = "worker.pass"
	// ca            = "ca.pem"
	//
	// [log]
	//
	// [http]
	// address       = "off"
}

func TestFill(t *testing.T) {
	key, err := envelope.GenerateKey(envelope.Worker, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := devdeploy.Fill(`keys = ["@worker", "@workers"]`, map[string]envelope.PrivateKey{"worker": key})
	if want := `keys = ["` + key.Public().String() + `", "@workers"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRedisOfSeveralServers(t *testing.T) {
	text := devdeploy.Redis{Addresses: []string{"a:1", "b:2"}, Master: "work", SentinelUser: "s", SentinelPasswordFile: "s.pass"}.Text()
	for _, want := range []string{"[redis]\n", `addresses     = ["a:1", "b:2"]`, `master        = "work"`, `sentinel_user = "s"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
