package modstore_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// openRedis is the store of production beside the directory: Blobs in Redis, here an embedded one,
// over TLS. The room of Redis cannot see this one, so that the two fit is shown here.
func openRedis(t *testing.T) backend {
	now := time.Now()
	authority, err := devtls.NewAuthority(now)
	check(t, err)
	pair, err := authority.Server(now)
	check(t, err)
	shown, err := authority.Client("test", now)
	check(t, err)
	settings, err := authority.ServerConfig(pair)
	check(t, err)
	server, err := miniredis.RunTLS(settings)
	check(t, err)
	t.Cleanup(server.Close)
	server.RequireUserAuth("store", "secret")
	client, err := redisqueue.Dial(redisqueue.Config{
		Addr: server.Addr(), User: "store", Password: "secret", CA: authority.CertPEM(), Cert: shown.Cert, Key: shown.Key,
	})
	check(t, err)
	t.Cleanup(func() { client.Close() })
	tamper := func(name string, data []byte) {
		if data == nil {
			server.Del("cs:mod:b:" + name)
			return
		}
		check(t, server.Set("cs:mod:b:"+name, string(data)))
		_, err := server.ZAdd("cs:mod:names", 0, name)
		check(t, err)
	}
	return backend{store: modstore.Over(redisqueue.OpenBlobs(client)), tamper: tamper}
}
