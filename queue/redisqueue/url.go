package redisqueue

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caisson-run/caisson/queue"
)

// ParseURL reads rediss://[user@]host:port and nothing more: no password (it
// would end up in process lists and logs), no path, no query, no fragment, and
// no redis:// without TLS. It returns a Config with Addr and User.
// Errors: *ConfigError.
func ParseURL(text string) (Config, error) {
	c, err := parseURL(text)
	if err != nil {
		return Config{}, &ConfigError{Field: "url", Text: err.Error()}
	}
	return c, nil
}

func parseURL(text string) (Config, error) {
	const scheme = "rediss://"
	if strings.HasPrefix(text, "redis://") {
		return Config{}, errors.New("redis:// is without TLS; use rediss://")
	}
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Config{}, errors.New("want rediss://[user@]host:port")
	}
	// net/url decides what is well formed; the text must then be just what it
	// would print, so that nothing is decoded or overlooked.
	u, err := url.Parse(text)
	if err != nil {
		return Config{}, errors.New("want rediss://[user@]host:port")
	}
	var c Config
	if user, addr, found := strings.Cut(rest, "@"); found {
		if strings.Contains(user, ":") {
			return Config{}, errors.New("a password does not belong into a URL")
		}
		if err := queue.CheckID("user", user); err != nil {
			return Config{}, err
		}
		c.User, rest = user, addr
	}
	if _, err := checkAddr(rest); err != nil {
		return Config{}, err
	}
	c.Addr = rest
	if u.Host != rest || strings.ContainsAny(rest, "?#/%") {
		return Config{}, errors.New("want rediss://[user@]host:port and nothing after it")
	}
	return c, nil
}
