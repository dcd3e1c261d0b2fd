package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// Bounds of what is read from files.
const (
	// textFileMax bounds key, certificate and configuration files: none has a reason to be larger.
	textFileMax = 1 << 20
	// moduleFileMax bounds a module read from a file; the store's own bound comes after it.
	moduleFileMax = 64 << 20
	// inputFileMax bounds a task's input read from a file or stdin; the envelope's own bound comes after it.
	inputFileMax = 1 << 20
	// messageFileMax bounds a message read from a file or stdin; the envelope's own bound, far below, comes after it.
	messageFileMax = 16 << 20
)

// readFile reads at most sizeMax bytes of a file.
func readFile(path string, sizeMax int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, sizeMax)
}

// readAll reads at most sizeMax bytes; one more is an error, never a cut.
func readAll(r io.Reader, name string, sizeMax int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, sizeMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > sizeMax {
		return nil, &tooLongError{name, sizeMax}
	}
	return data, nil
}

// A tooLongError is that there is more to read than there may be.
type tooLongError struct {
	name string
	most int64
}

func (e *tooLongError) Error() string {
	return fmt.Sprintf("%s: is longer than %d bytes", e.name, e.most)
}

// readModule reads a module. One that is too large for every worker is refused as such.
func readModule(path string) ([]byte, error) {
	data, err := readFile(path, moduleFileMax)
	var long *tooLongError
	if errors.As(err, &long) {
		return nil, refused(fmt.Errorf("%s: module.invalid: more than %d bytes", path, long.most))
	}
	return data, err
}

// readSecret reads a file that only its owner can read. It judges the file that it reads, not the name.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := envelope.CheckPrivateFile(info.Mode()); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
		if info.Mode().IsRegular() {
			err = &hintError{err, "chmod 600 " + shellWord(path)}
		}
		return nil, err
	}
	return readAll(f, path, textFileMax)
}

// readPrivateKey reads a private key of the given purpose from a file that only its owner can read.
func readPrivateKey(path string, purposes ...envelope.Purpose) (envelope.PrivateKey, error) {
	text, err := readSecret(path)
	if err != nil {
		return envelope.PrivateKey{}, err
	}
	key, err := envelope.ParsePrivateKey(strings.TrimSpace(string(text)))
	if err != nil {
		return envelope.PrivateKey{}, fmt.Errorf("%s: %w", path, err)
	}
	if !slices.Contains(purposes, key.Purpose()) {
		return envelope.PrivateKey{}, misuse("%s: is for %s, and a key for %s is needed", path, key.Purpose(), purposes[0])
	}
	return key, nil
}

// redisSection is [redis] of worker.toml and client.toml.
type redisSection struct {
	Address      string   `toml:"address"`       // host:port
	Addresses    []string `toml:"addresses"`     // several, of Sentinels or of a cluster's nodes
	Master       string   `toml:"master"`        // its name to the Sentinels
	Cluster      bool     `toml:"cluster"`       // the addresses are nodes of a cluster
	User         string   `toml:"user"`          // ACL user
	PasswordFile string   `toml:"password_file"` // one line
	CA           string   `toml:"ca"`            // PEM file
	Cert         string   `toml:"cert"`          // PEM file, with key for mutual TLS
	Key          string   `toml:"key"`
	ServerName   string   `toml:"server_name"` // when it is not the host that is dialled

	SentinelUser         string `toml:"sentinel_user"`
	SentinelPasswordFile string `toml:"sentinel_password_file"` // one line
}

// redisKeys are the section's keys by the fields of redisqueue.Config that they set.
var redisKeys = map[string]string{"Addr": "address", "Addrs": "addresses", "Master": "master", "Cluster": "cluster", "SentinelPassword": "sentinel_password_file", "User": "user", "Password": "password_file", "CA": "ca", "Cert": "cert", "Key": "key"}

// config reads what the section of that name names and makes redisqueue's settings of it. Faults are added to file.
func (s redisSection) config(file *strict.File, name string, base folder) redisqueue.Config {
	c := redisqueue.Config{
		Addr: s.Address, Addrs: s.Addresses, Master: s.Master, Cluster: s.Cluster,
		User: s.User, SentinelUser: s.SentinelUser, ServerName: s.ServerName,
	}
	fault := func(key, format string, args ...any) {
		if key = name + "." + key; !file.Faulty(key) {
			file.Fault(key, format, args...)
		}
	}
	if s.Address == "" && len(s.Addresses) == 0 {
		fault("address", "is missing")
	}
	for _, must := range [][2]string{{"user", s.User}, {"password_file", s.PasswordFile}, {"ca", s.CA}} {
		if must[1] == "" {
			fault(must[0], "is missing")
		}
	}
	if (s.Cert == "") != (s.Key == "") {
		fault("cert", "cert and key come together")
	}
	read := s.credentials(base, func(key string, err error) { fault(key, "%s", textOf(err)) })
	c.Password, c.CA, c.Cert, c.Key = read.Password, read.CA, read.Cert, read.Key
	if s.SentinelPasswordFile != "" {
		var err error
		if c.SentinelPassword, err = readPassword(base.path(s.SentinelPasswordFile)); err != nil {
			fault("sentinel_password_file", "%s", textOf(err))
		}
	}
	c.Renew = func() (again redisqueue.Credentials, first error) {
		again = s.credentials(base, func(key string, err error) { first = cmp.Or(first, fmt.Errorf("%s: %w", key, err)) })
		return again, first
	}
	// Dial connects to nothing: it only judges the settings.
	client, err := redisqueue.Dial(c)
	if err == nil {
		client.Close()
		return c
	}
	for _, err := range each(err) {
		var field *redisqueue.ConfigError
		if errors.As(err, &field) && redisKeys[field.Field] != "" {
			if key := redisKeys[field.Field]; key != "cert" || !file.Faulty(name+".key") { // else it has no pair to judge
				fault(key, "%s", field.Text)
			}
			continue
		}
		file.Fault(name, "%v", err)
	}
	return c
}

// credentials reads what of the section may change while a connection lives. Faults are told to fault.
func (s redisSection) credentials(base folder, fault func(key string, err error)) (got redisqueue.Credentials) {
	read := func(key, path string, from func(string) ([]byte, error)) []byte {
		if path == "" {
			return nil
		}
		data, err := from(base.path(path))
		if err != nil {
			fault(key, err)
		}
		return data
	}
	got.CA, got.Cert, got.Key = read("ca", s.CA, readText), read("cert", s.Cert, readText), read("key", s.Key, readSecret)
	if s.PasswordFile != "" {
		var err error
		if got.Password, err = readPassword(base.path(s.PasswordFile)); err != nil {
			fault("password_file", err)
		}
	}
	return got
}

// readPassword reads the one line of a file that only its owner can read.
func readPassword(path string) (string, error) {
	data, err := readSecret(path)
	text := strings.TrimRight(string(data), "\r\n")
	if err == nil && strings.ContainsAny(text, "\r\n") {
		err = fmt.Errorf("%s has more than one line", path)
	}
	return text, err
}

func readText(path string) ([]byte, error) { return readFile(path, textFileMax) }

// folder is where a configuration file lies; paths in the file are relative to it.
type folder string

func (f folder) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(string(f), p)
}

// decodeFile reads the TOML file at path into v. The File collects the faults found later as well.
func decodeFile(path string, v any) (*strict.File, folder, error) {
	data, err := readFile(path, textFileMax)
	if errors.Is(err, os.ErrNotExist) {
		err = &hintError{err, "name one with --config; docs/reference says what is in it"}
	}
	if err != nil {
		return nil, "", err
	}
	file, err := strict.Decode(path, data, v)
	if err != nil && !file.Complete() {
		return nil, "", misused(err)
	}
	return file, folder(filepath.Dir(path)), nil
}

// misused makes err a misuse, for faults of configuration files.
func misused(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{exitMisused, err}
}

// readStdin reads what is piped in, or ends with ctx: at a terminal it would wait for a person for ever.
func readStdin(ctx context.Context, stdin io.Reader, sizeMax int64) ([]byte, error) {
	type all struct {
		data []byte
		err  error
	}
	done := make(chan all, 1)
	go func() { // ends with its input, or with the process: a read of a terminal cannot be called off
		data, err := readAll(stdin, "stdin", sizeMax)
		done <- all{data, err}
	}()
	select {
	case a := <-done:
		return a.data, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// writeNew writes a file that must not exist yet, whole or not at all.
func writeNew(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path)) // a part of a file must not stand for the whole
	}
	return err
}
