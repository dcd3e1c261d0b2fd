package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

// buildTimeout bounds the Go toolchain: a cold build of a large task on a slow machine takes a few minutes.
const buildTimeout = 10 * time.Minute

func moduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "module",
		Short:   "Build, inspect, try and publish task modules",
		Example: "  caisson module build examples/thumbnail\n  caisson module run examples/thumbnail --file request.json\n  caisson module publish examples/thumbnail --key publish.key --store modules",
	}
	c.AddCommand(moduleBuildCommand(), moduleInspectCommand(), moduleRunCommand(), modulePublishCommand())
	return c
}

func moduleBuildCommand() *cobra.Command {
	out, asJSON := "", false
	c := &cobra.Command{
		Use:   "build [FOLDER]",
		Short: "Compile the Go task in a folder to the module that its manifest names",
		Long: `Runs the Go toolchain for wasip1/wasm in the folder, which holds task.toml and the task's Go package. Tasks in other
languages are built with their own toolchains; see docs/reference/task-contract.md.`,
		Example: "  caisson module build\n  caisson module build examples/thumbnail -o /tmp/thumbnail.wasm",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := manifestPath(args)
			m, err := readManifest(path)
			if err != nil {
				return err
			}
			target := out
			if target == "" {
				target = filepath.Join(filepath.Dir(path), m.Module)
			}
			ctx, cancel := context.WithTimeout(c.Context(), buildTimeout)
			defer cancel()
			if err := gobuild.Build(ctx, filepath.Dir(path), target); err != nil {
				return err
			}
			data, err := readModule(target)
			if err != nil {
				return err
			}
			built := builtInfo{File: target, Digest: manifest.Digest(sha256.Sum256(data)).String(), Size: len(data)}
			if asJSON {
				return printJSON(c.OutOrStdout(), built)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "built    %s\nmodule   %s\nsize     %d bytes\n", oneLine(built.File), built.Digest, built.Size)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "the module's file (default: the one that the manifest names)")
	jsonFlag(c, &asJSON, shape{"", builtInfo{}})
	return c
}

// builtInfo is what is shown of a module that was built.
type builtInfo struct {
	File   string `json:"file"`
	Digest string `json:"digest"`
	Size   int    `json:"size_bytes"`
}

// publishFlags are those of module publish.
type publishFlags struct {
	key    string
	store  string
	config string
	number uint64
	json   bool
}

// releaseInfo is what is shown of a release.
type releaseInfo struct {
	Task      string `json:"task"`
	Number    uint64 `json:"number"`
	Digest    string `json:"digest"`
	Publisher string `json:"publisher_key"`
	Store     string `json:"store"`
}

func modulePublishCommand() *cobra.Command {
	f := publishFlags{}
	c := &cobra.Command{
		Use:   "publish [FOLDER]",
		Short: "Sign the module and manifest of a folder as a release and store both",
		Long: `A release binds a task's name, its manifest and its module's bytes under one signature. Its number must be larger than
every earlier one: workers refuse to go back. The store is a folder, or the Redis that the [redis] section of a file names.
A large module goes there in pieces; every 2 s stderr says how much is written.`,
		Example: "  caisson module publish examples/thumbnail --key publish.key --store modules",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return runPublish(c, manifestPath(args), f) },
	}
	c.Flags().StringVarP(&f.key, "key", "k", "publish.key", "the publisher's private key")
	c.Flags().StringVarP(&f.store, "store", "s", "", "folder of the store")
	c.Flags().StringVarP(&f.config, "config", "c", "", "TOML file of one [redis] section, for the store in Redis")
	c.Flags().Uint64Var(&f.number, "number", 0, "the release's number (default: one more than the newest in the store)")
	c.MarkFlagsMutuallyExclusive("store", "config")
	c.MarkFlagsOneRequired("store", "config")
	jsonFlag(c, &f.json, shape{"", releaseInfo{}})
	return c
}

func runPublish(c *cobra.Command, path string, f publishFlags) error {
	if c.Flags().Changed("number") && f.number == 0 {
		return misuse("--number: the first is 1")
	}
	m, err := readManifest(path)
	if err != nil {
		return err
	}
	modulePath := filepath.Join(filepath.Dir(path), m.Module)
	module, err := readModule(modulePath)
	if errors.Is(err, os.ErrNotExist) {
		return &hintError{err, "caisson module build " + shellWord(filepath.Dir(path))}
	}
	if err != nil {
		return err
	}
	key, err := readPrivateKey(f.key, envelope.Publish)
	if err != nil {
		return err
	}
	inspected, err := inspectModule(c.Context(), modulePath, module, false, c.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := undeclared(modulePath, inspected.Imports, m.Needs); err != nil {
		return err
	}
	store, name, closeStore, err := openPublishStore(f, sayWritten(c.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer closeStore()
	info, err := publish(c.Context(), store, m, module, f.number, key)
	if err != nil {
		return err
	}
	info.Store = name
	if f.json {
		return printJSON(c.OutOrStdout(), info)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "task     %s\nrelease  %d\nmodule   %s\nsigned   %s\nstore    %s\n",
		info.Task, info.Number, info.Digest, info.Publisher, oneLine(info.Store))
	return err
}

// undeclared refuses a module that names a power that its manifest does not, as every worker would.
func undeclared(path string, imports []sandbox.Imported, needs capability.Set) error {
	kinds := needs.Kinds()
	for _, i := range imports {
		if i.Needs != "" && !kinds[capability.Kind(i.Needs)] {
			return refused(fmt.Errorf("%s: module.capability: imports %s.%s, but its manifest needs no capability of kind %s", path, i.Module, i.Name, i.Needs)).
				withHint("add it to caps of [needs] in task.toml, or take the call out of the code")
		}
	}
	return nil
}

// publish signs a release and stores it, with the next number where none is given.
func publish(ctx context.Context, store modstore.Store, m manifest.Manifest, module []byte, number uint64, key envelope.PrivateKey) (releaseInfo, error) {
	newest, err := modstore.Newest(ctx, store, m.Task)
	if err != nil {
		return releaseInfo{}, err
	}
	if number == 0 {
		number = newest + 1
	}
	if number < newest { // the newest itself may be stored again: other bytes would be refused by the store
		return releaseInfo{}, refused(fmt.Errorf("release %d of %s is older than the newest in the store, %d: workers refuse to go back",
			number, m.Task, newest)).withHint("leave --number out")
	}
	digest, err := modstore.Publish(ctx, store, m, module, number, key)
	if err != nil {
		return releaseInfo{}, err
	}
	return releaseInfo{Task: m.Task, Number: number, Digest: digest.String(), Publisher: key.Public().ID().String()}, nil
}

// sayEvery is how often it is said how much of a large module is written.
const sayEvery = 2 * time.Second

// sayWritten says on w how much is written, unless all is before it is worth a line.
func sayWritten(w io.Writer) func(done, of int) {
	last := time.Now()
	return func(done, of int) {
		if now := time.Now(); now.Sub(last) >= sayEvery {
			last = now
			fmt.Fprintf(w, "caisson: module: %d of %d KiB written\n", done>>10, of>>10)
		}
	}
}

// openPublishStore returns the store, what to call it, and what closes it. sent is told how much of a module is in Redis.
func openPublishStore(f publishFlags, sent func(done, of int)) (modstore.Store, string, func(), error) {
	if f.store != "" {
		store, err := modstore.Dir(f.store)
		return store, f.store, func() {}, err
	}
	var section struct {
		Redis redisSection `toml:"redis"`
	}
	file, base, err := decodeFile(f.config, &section)
	if err != nil {
		return nil, "", nil, err
	}
	settings := section.Redis.config(file, "redis", base)
	if err := file.Err(); err != nil {
		return nil, "", nil, misused(err)
	}
	client, err := redisqueue.Dial(settings)
	if err != nil {
		return nil, "", nil, err
	}
	name := "rediss://" + settings.User + "@" + cmp.Or(settings.Addr, strings.Join(settings.Addrs, ","))
	return modstore.Over(redisqueue.OpenBlobs(client).Telling(sent)), name, func() { client.Close() }, nil
}
