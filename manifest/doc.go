// Package manifest turns a task.toml into a checked [Manifest], a manifest and module bytes into a
// signed release, and a signed release back into the manifest and the module that were signed.
//
// It never reads files, clocks or the network, and it holds no keys: signing and verifying are asked
// of a [Signer] and of [Publishers]. What it returns from a release has passed the signature; there
// is no way to make a [Release] or a [Bound] but [OpenRelease] and [Release.Bind].
//
// # The manifest
//
// Strict TOML (package strict): task, module, start, args, [env], [limits], [retry], [needs]. Every
// key with its default and range: docs/reference/manifest.md. [Parse] reports every fault of the
// file at once, with file, line and column.
//
// # The release
//
// A DSSE envelope in JSON around an in-toto Statement v1:
//
//	{"payload":BASE64,"payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":KEYID,"sig":BASE64}]}
//
//	{"_type":"https://in-toto.io/Statement/v1",
//	 "subject":[{"name":TASK,"digest":{"sha256":HEX}}],
//	 "predicateType":"https://caisson.run/release/v1",
//	 "predicate":{"number":N,"manifest":TEXT}}
//
// Both are written without white space, keys in this order, and only that spelling is read: what
// was decoded is encoded again and must be the same bytes, so nothing can be said twice, added or
// hidden. There is exactly one signature and one subject; the manifest in TEXT names the same task.
// The signature is over DSSE's pre-authentication encoding of payloadType and payload, and it is
// verified over the bytes received before the payload is parsed.
//
// # Limits
//
// ManifestSizeMax, ReleaseSizeMax, ModuleSizeMax, NumberMax; the ranges of the manifest's own keys
// stand in limits.go.
//
// Source: https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md, v1.0);
// https://github.com/in-toto/attestation (spec/v1/statement.md).
package manifest
