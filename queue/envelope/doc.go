// Package envelope turns a task into signed bytes for the broker, and received bytes back into a verified task;
// the same for results and for orders.
//
// It never reads a file, a clock, the network or the environment, never parses what it has not verified, never
// signs anything but a DSSE pre-authentication encoding, and never allocates by a length that a message merely claims.
// It imports no other room.
//
// A message is one msgpack array, its frame:
//
//	[1, "application/vnd.caisson.task.v1+msgpack", body, [[key id, signature, nil]]]
//
// The signature is Ed25519 over DSSEv1 PAE(type, body). There is no algorithm field: another algorithm is another
// type. Of a batch each message has the same signature, over the root of a Merkle tree, and its own place in the tree
// instead of the nil; it opens without the others ([SignBatch], [Roots]). The body is a msgpack array of fixed arity,
// without maps, so nothing can be there twice. Every value has exactly one encoding; bytes that are not the encoding of
// what they say are refused. So a Task signed again with the same key, alone or in the same batch, gives the same bytes,
// and [Digest] names a message as well as its text does.
// The format, byte for byte, is docs/reference/envelope.md; vectors for other implementations are in testdata/.
//
// [Reader.Open] takes these steps in this order, and stops at the first that fails: size, form of the frame, version,
// type, key known, key's purpose, signature, form of the body, fields (lifetime and features of
// later versions among them), issuer, audience, issued, expired.
// Who may send what is not asked here; that is the room runtime/policy, which takes nothing but a [Verified].
//
//	key, _ := envelope.GenerateKey(envelope.Submit, nil)
//	msg, err := envelope.Sign(task, key)
//	...
//	verified, err := envelope.Reader{Keys: keys, Audience: "prod"}.Open(msg, time.Now())
//
// Limits: a message is at most 256 KiB, its payload 224 KiB, its life 24 hours, a result's output 16 MiB; limits.go
// has them all.
package envelope
