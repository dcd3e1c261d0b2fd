package redisqueue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Credentials is what of a Config can be replaced while a Client lives: see Config.Renew. The fields mean what they mean there.
type Credentials struct {
	Password      string
	CA, Cert, Key []byte
}

// credentials returns those of c, copied.
func (c *Config) credentials() Credentials {
	return Credentials{c.Password, slices.Clone(c.CA), slices.Clone(c.Cert), slices.Clone(c.Key)}
}

func (c Credentials) same(t Credentials) bool {
	return c.Password == t.Password && slices.Equal(c.CA, t.CA) && slices.Equal(c.Cert, t.Cert) && slices.Equal(c.Key, t.Key)
}

// check returns the TLS settings that c makes, and its faults: each a *ConfigError.
func (c Credentials) check(serverName string) (conf *tls.Config, faults []error) {
	fault := func(field, text string) { faults = append(faults, &ConfigError{Field: field, Text: text}) }
	if c.Password == "" {
		// go-redis sends no AUTH at all without one and would be "default".
		fault("Password", "missing")
	}
	conf = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName, RootCAs: x509.NewCertPool()}
	switch {
	case len(c.CA)+len(c.Cert)+len(c.Key) > caBytesMax:
		fault("CA", fmt.Sprintf("CA, Cert and Key have more than %d bytes", caBytesMax))
		return conf, faults
	case len(c.CA) == 0:
		fault("CA", "missing")
	case !conf.RootCAs.AppendCertsFromPEM(c.CA):
		fault("CA", "holds no certificate in PEM")
	}
	if len(c.Cert) > 0 || len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Cert, c.Key)
		if err != nil {
			// The library's text names the fault and never the key's bytes.
			fault("Cert", "with Key: "+err.Error())
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, faults
}

// A connector connects with the credentials that are good by now.
type connector struct {
	conf Config

	asking sync.Mutex // held over Renew, which reads files

	mu    sync.Mutex
	now   Credentials
	tls   *tls.Config // what now makes
	fault error       // why now is not the newest, or nil
}

// newConnector returns one with the credentials of c, of which tlsConf was made.
func newConnector(c Config, tlsConf *tls.Config) *connector {
	return &connector{conf: c, now: c.credentials(), tls: tlsConf}
}

// login tells go-redis who we are, on a connection that was just made.
func (k *connector) login(context.Context) (user, password string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conf.User, k.now.Password, nil
}

// renew asks for new credentials, and returns the TLS settings to connect with.
func (k *connector) renew() *tls.Config {
	if k.conf.Renew == nil {
		return k.tls
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	newest, err := k.conf.Renew()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault = err; err != nil || newest.same(k.now) {
		return k.tls
	}
	tlsConf, faults := newest.check(k.conf.ServerName)
	if k.fault = errors.Join(faults...); len(faults) == 0 {
		k.now, k.tls = newest, tlsConf
	}
	return k.tls
}

// explain adds to why Redis could not be asked that it may be for want of newer credentials.
func (k *connector) explain(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault == nil {
		return err
	}
	return fmt.Errorf("%w (new passwords and certificates are not used: %v)", err, k.fault)
}

// dial connects as go-redis does by itself, with the credentials of now and with replies bounded.
func (k *connector) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := redis.NewDialer(&redis.Options{DialTimeout: k.conf.DialTimeout, TLSConfig: k.renew()})(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &bounded{Conn: conn, replies: passing{values: 1}}, nil
}
