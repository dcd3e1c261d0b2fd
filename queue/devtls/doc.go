// Package devtls makes a throwaway certificate authority for loopback, so that
// the demonstration and the tests speak mutual TLS without anybody's files.
//
// It writes no file, and it never gives out the authority's private key: when
// the process ends nobody can sign under it again. The authority is confined by
// critical name constraints to 127.0.0.0/8, ::1 and localhost, and lives a week;
// one that slips into a trust store by mistake vouches for nothing else.
//
// Certificates are ECDSA P-256, TLS 1.2 at least. They are not for production:
// there the operator's own authority signs for Redis and for its clients.
package devtls
