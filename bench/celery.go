package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// celery is a Python environment that has it.
type celery struct{ python, keys string }

// findCelery makes the environment, unless it is there, from the pinned list. The quick mode only looks.
func findCelery(ctx context.Context, o options, work, folder string) (*celery, error) {
	list := filepath.Join(sources, "peers", "celery", "requirements.txt")
	want, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	venv := filepath.Join(work, "celery")
	c := &celery{python: filepath.Join(venv, "bin", "python"), keys: folder}
	stamp := filepath.Join(venv, "installed.txt")
	if have, err := os.ReadFile(stamp); err != nil || string(have) != string(want) {
		if o.quick {
			return nil, errors.New("the quick mode does not install it")
		}
		if err := os.RemoveAll(venv); err != nil {
			return nil, err
		}
		for _, args := range [][]string{{"python3", "-m", "venv", venv}, {c.python, "-m", "pip", "install", "--quiet", "--requirement", list}} {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", args[0], err, out[max(0, len(out)-tailSize):])
			}
		}
		if err := os.WriteFile(stamp, want, 0o600); err != nil {
			return nil, err
		}
	}
	if err := writeSigningKey(folder, time.Now()); err != nil {
		return nil, err
	}
	return c, nil
}

// prepare has cmd run in the folder of the application, with all that it needs in its environment. It leaves nothing in the checkout.
func (c *celery) prepare(cmd *exec.Cmd, setup, addr string, signed bool) {
	cmd.Dir = filepath.Join(sources, "peers", "celery")
	cmd.Env = append(os.Environ(), "BENCH_SETUP="+setup, "BENCH_ADDR="+addr, "PYTHONDONTWRITEBYTECODE=1")
	if signed {
		cmd.Env = append(cmd.Env, "BENCH_SIGNED=1", "BENCH_SIGNED_DIR="+c.keys)
	}
}

// writeSigningKey makes the key and the certificate that Celery's auth serializer wants: RSA, by its documentation.
func writeSigningKey(folder string, now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "sign.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(folder, "sign.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
