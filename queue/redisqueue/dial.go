package redisqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says where Redis is and who we are to it. There is no field that turns
// the verification of the server off, on purpose.
type Config struct {
	// Addr is host:port: of the server, of one Sentinel with Master, of one node with Cluster. Exactly one of Addr and Addrs
	// is given.
	Addr string

	// Addrs are several of them, at most addrsMax, of Sentinels or of nodes of a cluster: they are where to begin, and the
	// others are learned from them.
	Addrs []string

	// Master is the name under which the Sentinels at Addrs know the master. With it the master is asked for at each
	// new connection.
	Master string

	// Cluster says that Addrs are nodes of a Redis Cluster. Not with Master.
	Cluster bool

	// SentinelUser and SentinelPassword are for the Sentinels. SentinelUser may be "" with a password that all clients of the
	// Sentinels share (requirepass). Without either they are asked without AUTH.
	SentinelUser     string
	SentinelPassword string

	// User and Password of a Redis ACL user. Required. "default" is refused: it
	// is whoever gave no name, and it should be off.
	User     string
	Password string

	// CA is PEM: whom we trust to sign the server's certificate. Required; the
	// authorities of the system are not used.
	CA []byte

	// Cert and Key are PEM, both or none: what we show when the server asks.
	Cert []byte
	Key  []byte

	// Renew, unless nil, is asked before each new connection for the credentials that are good by then, so that passwords and
	// certificates can be replaced while a Client lives; connections that are there go on. One call at a time. Where it errs,
	// or gives what Dial would refuse, those before are used, and errors that come say so. SentinelPassword stays.
	Renew func() (Credentials, error)

	// ServerName is the name to check each certificate for. Default: the host that is dialled. With Master or Cluster that
	// host is what a Sentinel or a node announced, so whoever controls one of them chooses which of CA's certificates is
	// asked for; with ServerName all servers, Sentinels too, need a certificate for this one name.
	ServerName string

	// DialTimeout bounds connecting, TLS and authentication. Default 5 s.
	DialTimeout time.Duration

	// Timeout bounds waiting for one reply, at least 2 s. Default 5 s.
	Timeout time.Duration

	// Connections bounds the pool, 2 to 1024. Default 16.
	Connections int
}

// Client is a pool of connections to one Redis, or to the nodes of one cluster. It is safe for concurrent use.
// It connects when it is first needed, and again whenever that fails.
type Client struct {
	rdb       redis.UniversalClient
	conf      Config // as given, with defaults
	connector *connector

	closer *closer // counts reads whose caller has returned
}

// quiet keeps go-redis, whose logger is global, from writing to stderr what we
// return as errors anyway.
var quiet sync.Once

// Dial checks c and returns a Client. It does not connect yet: see Ping.
// Errors: all faulty fields at once, each *ConfigError, joined.
func Dial(c Config) (*Client, error) {
	tlsConf, err := c.check()
	if err != nil {
		return nil, err
	}
	quiet.Do(logging.Disable)
	k := newConnector(c, tlsConf)
	return &Client{rdb: open(c, k), conf: c, connector: k, closer: newCloser(context.Background())}, nil
}

// open makes the client that c asks for. All three kinds have the same settings: replies are parsed by us (see reply.go),
// so protocol 2; and go-redis would send a command again that may have been done already, so no retries: Client.do
// does, for calls that are built for it. A cluster client follows redirections, and may send again what it sent to a node
// that went away; every call can be made again. Its own TLSConfig stands behind our dialler: nothing goes out without TLS,
// whoever dials.
func open(c Config, k *connector) redis.UniversalClient {
	switch {
	case c.Master != "":
		rdb := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: c.Master, SentinelAddrs: c.seeds(), SentinelUsername: c.SentinelUser, SentinelPassword: c.SentinelPassword,
			CredentialsProviderContext: k.login, TLSConfig: k.tls, Dialer: k.dial, Protocol: 2, DisableIdentity: true,
			MaxRetries: -1, DialerRetries: 1, DialTimeout: c.DialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
			ContextTimeoutEnabled: true, PoolSize: c.Connections, PoolTimeout: c.Timeout,
		})
		rdb.AddHook(&masterHook{open: map[*masterConn]struct{}{}})
		return rdb
	case c.Cluster:
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: c.seeds(), CredentialsProviderContext: k.login, TLSConfig: k.tls, Dialer: k.dial, Protocol: 2, DisableIdentity: true,
			// Policies come from COMMAND, which no role may send; every command here goes to the node of its key.
			DisableRoutingPolicies: true,
			MaxRetries:             -1, DialerRetries: 1, DialTimeout: c.DialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
			ContextTimeoutEnabled: true, PoolSize: c.Connections, PoolTimeout: c.Timeout,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	return redis.NewClient(&redis.Options{
		Addr: c.seeds()[0], CredentialsProviderContext: k.login, TLSConfig: k.tls, Dialer: k.dial, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: c.DialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
		ContextTimeoutEnabled: true, PoolSize: c.Connections, PoolTimeout: c.Timeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// seeds returns the addresses, whichever field they are in.
func (c *Config) seeds() []string {
	if c.Addr != "" {
		return []string{c.Addr}
	}
	return c.Addrs
}

// Ping asks whether Redis is there and knows us.
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, "ping", func(ctx context.Context) error { return c.rdb.Ping(ctx).Err() })
}

// Close closes every connection. Calls that go on, and all later ones, give queue.ErrClosed, and so do those of whatever was opened over this
// Client. It waits for reads whose callers have gone away. Closing again does nothing.
func (c *Client) Close() error {
	c.closer.close()
	err := c.rdb.Close()
	c.closer.wait()
	if errors.Is(err, redis.ErrClosed) {
		return nil
	}
	return err
}

// ConfigError reports a field of a Config that cannot be.
type ConfigError struct {
	Field string
	Text  string
}

func (e *ConfigError) Error() string { return "redis: config: " + e.Field + ": " + e.Text }

// Code returns "redis.config".
func (e *ConfigError) Code() string { return "redis.config" }

// check fills in defaults and returns the TLS settings.
func (c *Config) check() (*tls.Config, error) {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	host := c.checkWhere(fault)
	switch c.User {
	case "":
		fault("User", "missing; make an ACL user, see docs/reference/redis.md")
	case "default":
		fault("User", `"default" is refused; make an ACL user, see docs/reference/redis.md`)
	}
	if c.ServerName == "" && c.Master == "" && !c.Cluster {
		c.ServerName = host
	}
	orDefault(&c.DialTimeout, 5*time.Second)
	orDefault(&c.Timeout, 5*time.Second)
	if c.DialTimeout < 10*time.Millisecond || c.DialTimeout > time.Minute {
		fault("DialTimeout", "%s is not within 10ms to 1m", c.DialTimeout)
	}
	if c.Timeout < timeoutMin || c.Timeout > time.Minute {
		fault("Timeout", "%s is not within %s to 1m", c.Timeout, timeoutMin)
	}
	if c.Connections == 0 {
		c.Connections = 16
	}
	if c.Connections < 2 || c.Connections > 1024 {
		fault("Connections", "%d is not within 2 to 1024", c.Connections)
	}
	tlsConf, more := c.credentials().check(c.ServerName)
	return tlsConf, errors.Join(append(faults, more...)...)
}

// checkWhere checks what says where to connect to, and returns the host of Addr.
func (c *Config) checkWhere(fault func(field, format string, args ...any)) (host string) {
	var err error
	switch {
	case c.Addr != "" && len(c.Addrs) > 0:
		fault("Addrs", "given beside Addr")
	case len(c.Addrs) > addrsMax:
		fault("Addrs", "%d, at most %d", len(c.Addrs), addrsMax)
	case len(c.Addrs) > 0 && c.Master == "" && !c.Cluster:
		fault("Addrs", "several addresses are for Sentinels (Master) or a cluster (Cluster)")
	case len(c.Addrs) == 0:
		if host, err = checkAddr(c.Addr); err != nil {
			fault("Addr", "%v", err)
		}
	}
	for _, addr := range c.Addrs {
		if _, err := checkAddr(addr); err != nil {
			fault("Addrs", "%q: %v", addr, err)
		}
	}
	switch {
	case c.Master != "" && c.Cluster:
		fault("Cluster", "given beside Master")
	case c.Master == "" && c.SentinelUser+c.SentinelPassword != "":
		fault("SentinelPassword", "given without Master")
	case c.SentinelUser != "" && c.SentinelPassword == "":
		fault("SentinelPassword", "missing for SentinelUser")
	}
	for i := range len(c.Master) {
		if b := c.Master[i]; i >= masterBytesMax || b <= ' ' || b >= 0x7f {
			fault("Master", "a name has at most %d letters, digits and signs, without spaces", masterBytesMax)
			break
		}
	}
	return host
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// checkAddr returns the host of host:port.
func checkAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", errors.New("want host:port")
	}
	if host == "" {
		return "", errors.New("no host")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("port %q is not 1 to 65535", port)
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || c == '/' || c == '@' || c == '\\' {
			return "", fmt.Errorf("%q in the host", c)
		}
	}
	return host, nil
}
