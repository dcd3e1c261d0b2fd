package client

import "github.com/caisson-run/caisson/queue/envelope"

// WorkerKeys returns a keyring of these keys, for Config.Workers: the public halves of the keys of the deployment's workers.
func WorkerKeys(keys ...envelope.PublicKey) envelope.WorkerKeyring {
	known := make(workerKeys, len(keys))
	for _, k := range keys {
		known[k.ID()] = k
	}
	return known
}

type workerKeys map[envelope.KeyID]envelope.PublicKey

func (w workerKeys) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	key, known := w[id]
	return key, known
}
