package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
)

// readFile reads at most sizeMax bytes of a regular file.
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
		return nil, fmt.Errorf("%s: is longer than %d bytes", name, sizeMax)
	}
	return data, nil
}

// readPrivateKey reads a private key of the given purpose from a file that only its owner can read.
func readPrivateKey(path string, purpose envelope.Purpose) (envelope.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return envelope.PrivateKey{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return envelope.PrivateKey{}, err
	}
	if err := envelope.CheckPrivateFile(info.Mode()); err != nil {
		return envelope.PrivateKey{}, &hintError{fmt.Errorf("%s: %w", path, err), "chmod 600 " + path}
	}
	text, err := readAll(f, path, textFileMax)
	if err != nil {
		return envelope.PrivateKey{}, err
	}
	key, err := envelope.ParsePrivateKey(strings.TrimSpace(string(text)))
	if err != nil {
		return envelope.PrivateKey{}, fmt.Errorf("%s: %w", path, err)
	}
	if key.Purpose() != purpose {
		return envelope.PrivateKey{}, fmt.Errorf("%s: is a %s key, and a %s key is needed", path, key.Purpose(), purpose)
	}
	return key, nil
}

// redisSection is [redis] of worker.toml and client.toml.
type redisSection struct {
	Address      string `toml:"address"`       // host:port
	User         string `toml:"user"`          // ACL user
	PasswordFile string `toml:"password_file"` // one line
	CA           string `toml:"ca"`            // PEM file
	Cert         string `toml:"cert"`          // PEM file, with key for mutual TLS
	Key          string `toml:"key"`
	ServerName   string `toml:"server_name"` // when it is not the address's host
}

// config reads what the section of that name names and makes redisqueue's settings of it. Faults are added to file.
func (s redisSection) config(file *strict.File, name string, base folder) redisqueue.Config {
	c := redisqueue.Config{Addr: s.Address, User: s.User, ServerName: s.ServerName}
	need := func(key, value string) {
		if value == "" {
			file.Fault(name+"."+key, "is missing")
		}
	}
	need("address", s.Address)
	need("user", s.User)
	need("ca", s.CA)
	read := func(key, path string) []byte {
		if path == "" {
			return nil
		}
		data, err := readFile(base.path(path), textFileMax)
		if err != nil {
			file.Fault(name+"."+key, "%v", err)
		}
		return data
	}
	c.CA, c.Cert, c.Key = read("ca", s.CA), read("cert", s.Cert), read("key", s.Key)
	c.Password = strings.TrimRight(string(read("password_file", s.PasswordFile)), "\r\n")
	if s.PasswordFile != "" {
		if err := checkSecretFile(base.path(s.PasswordFile)); err != nil {
			file.Fault(name+".password_file", "%v", err)
		}
	}
	if (s.Cert == "") != (s.Key == "") {
		file.Fault(name+".cert", "cert and key come together")
	}
	return c
}

// checkSecretFile refuses a secret that group or others can read.
func checkSecretFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return envelope.CheckPrivateFile(info.Mode())
}

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

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
