package redisqueue

import "crypto/tls"

// TLSConfig gives tests the settings under which Dial would connect.
func TLSConfig(c Config) (*tls.Config, error) { return c.check() }
