package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue/envelope"
)

// keyInfo is what is shown of a key. It never holds the secret.
type keyInfo struct {
	Purpose string `json:"purpose"`
	ID      string `json:"id"`
	Public  string `json:"public"`
	File    string `json:"file,omitempty"`
}

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make and show keys",
		Long: `A key belongs to one principal and has one purpose: submit (sign tasks), publish (sign releases),
worker (sign results) or operate (sign orders). Public keys go into policy.toml.`,
		Example: "  caisson key new submit -o keys/billing.key\n  caisson key show keys/billing.key",
	}
	c.AddCommand(keyNewCommand(), keyShowCommand())
	return c
}

func keyNewCommand() *cobra.Command {
	out, asJSON := "", false
	c := &cobra.Command{
		Use:   "new submit|publish|worker|operate",
		Short: "Make a key: the secret into a file, the public half to stdout",
		Long: `Writes the secret to FILE, readable by its owner only, and the public half beside it as FILE.pub.
An existing file is never overwritten.`,
		Example:   "  caisson key new submit -o keys/billing.key",
		Args:      exactly("submit|publish|worker|operate"),
		ValidArgs: purposeNames(),
		RunE: func(c *cobra.Command, args []string) error {
			purpose, err := parsePurpose(args[0])
			if err != nil {
				return err
			}
			path := out
			if path == "" {
				path = args[0] + ".key"
			}
			key, err := envelope.GenerateKey(purpose, nil)
			if err != nil {
				return err
			}
			if err := writeKey(path, key); err != nil {
				return err
			}
			return printKey(c, key.Public(), path, asJSON)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "file for the secret (default PURPOSE.key)")
	jsonFlag(c, &asJSON, shape{"", keyInfo{}})
	return c
}

// writeKey writes both halves or neither.
func writeKey(path string, key envelope.PrivateKey) error {
	if err := writeNew(path, []byte(key.Text()+"\n"), 0o600); err != nil {
		return err
	}
	err := writeNew(path+".pub", []byte(key.Public().String()+"\n"), 0o644)
	if err != nil {
		err = errors.Join(err, os.Remove(path)) // it was not there before
	}
	return err
}

func keyShowCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "show FILE",
		Short:   "Show purpose, id and public half of a key file; never the secret",
		Example: "  caisson key show keys/billing.key",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			data, err := readFile(args[0], textFileMax)
			if err != nil {
				return err
			}
			text := strings.TrimSpace(string(data))
			public, err := envelope.ParsePublicKey(text)
			if err != nil {
				var secret envelope.PrivateKey
				if secret, err = envelope.ParsePrivateKey(text); err != nil {
					if strings.HasPrefix(text, "caisson-") {
						_, err = envelope.ParsePublicKey(text) // what is wrong with the half that it is
					}
					return fmt.Errorf("%s: %w", args[0], err)
				}
				public = secret.Public()
			}
			return printKey(c, public, args[0], asJSON)
		},
	}
	jsonFlag(c, &asJSON, shape{"", keyInfo{}})
	return c
}

func printKey(c *cobra.Command, key envelope.PublicKey, path string, asJSON bool) error {
	info := keyInfo{Purpose: string(key.Purpose()), ID: key.ID().String(), Public: key.String(), File: filepath.ToSlash(path)}
	if asJSON {
		return printJSON(c.OutOrStdout(), info)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "purpose  %s\nid       %s\npublic   %s\nfile     %s\n", info.Purpose, info.ID, info.Public, oneLine(info.File))
	return err
}

func purposeNames() []string {
	var names []string
	for _, p := range envelope.Purposes() {
		names = append(names, string(p))
	}
	return names
}

func parsePurpose(name string) (envelope.Purpose, error) {
	for _, p := range envelope.Purposes() {
		if string(p) == name {
			return p, nil
		}
	}
	return "", misuse("%q is no purpose of a key: %s", name, strings.Join(purposeNames(), ", "))
}
