package modstore

import (
	"context"
	"crypto/sha256"

	"github.com/caisson-run/caisson/manifest"
)

// Publish signs a release of module under m and stores both, the module first, so that no reader finds a release whose module is not there. number
// should be above that of the newest release of the task, see Newest: workers refuse to go back.
// Errors: those of manifest.SignRelease, final; else those of the store: publishing the same again does no harm.
func Publish(ctx context.Context, store Store, m manifest.Manifest, module []byte, number uint64, key manifest.Signer) (manifest.Digest, error) {
	digest := manifest.Digest(sha256.Sum256(module))
	release, err := manifest.SignRelease(m, module, number, key)
	if err != nil {
		return digest, err
	}
	if err := store.PutModule(ctx, digest, module); err != nil {
		return digest, err
	}
	return digest, store.PutRelease(ctx, m.Task, number, release)
}
