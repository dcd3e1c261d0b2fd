package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md anew")

const referenceHead = `# The command

This page is the help of every verb, written by ` + "`go test ./cmd/caisson -run TestReference -update`" + ` and compared by
the same test. Asked-for output goes to stdout, all else to stderr, prefixed ` + "`caisson:`" + `, with what to try on a line
of its own. With ` + "`--json`" + ` the output is one JSON value a line, whose fields only grow.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed: the task failed, a file cannot be read, a check found faults |
| 2 | misused: the command line or a configuration file is wrong |
| 3 | refused: by policy, signature, admission, or a worker's refusal of a task |

Behind the text of a verb that has ` + "`--json`" + ` stand the fields of what it prints: one with a ? is left out when there is nothing to say, a dot stands between
a field and what is in it, [] behind a list. What a task gave is ` + "`output`" + ` where it is JSON, and ` + "`output_base64`" + ` where it is not; times are RFC 3339 in UTC.

` + "`caisson completion bash|zsh|fish|powershell`" + ` prints a completion script, and with ` + "`--help`" + ` says how to load it. In bash, with the package
bash-completion: ` + "`source <(caisson completion bash)`" + `.

These files carry settings: [worker.toml](worker.md) for a worker, and client.toml for whoever sends. operator.toml is the same
for whoever operates: its key is of purpose operate, and it needs no tenant.

` + "```toml" + `
audience = "prod"            # the deployment, as in its policy
tenant   = "acme"            # whose lanes the tasks go into
queue    = "default"         # unless --queue says another
key      = "shop.key"        # private key of purpose submit; paths are relative to this file
workers  = ["caisson-worker-public-..."]   # results are believed from these keys only

[redis]
address       = "redis.example.com:6390"
user          = "shop"       # an ACL user; "default" is refused
password_file = "shop.pass"  # one line, readable by its owner only
ca            = "ca.pem"     # who signs the server's certificate; always verified
cert          = "shop.crt"   # for mutual TLS, with key
key           = "shop.pem"   # readable by its owner only
server_name   = ""           # when it is not the host that is dialled

# Instead of address, for Sentinels or a cluster:
# addresses = ["s1.example.com:26379", "s2.example.com:26379"]
# master    = "work"                     # Sentinels: what they call the master
# sentinel_user          = "sentinel"    # Sentinels: who asks them; without both they are asked without AUTH
# sentinel_password_file = "sentinel.pass"
# cluster   = true                       # the addresses are nodes of a Redis Cluster
` + "```" + `
`

// TestReference compares docs/reference/cli.md with the commands' own help.
func TestReference(t *testing.T) {
	var page strings.Builder
	page.WriteString(referenceHead)
	describe(&page, newRoot())
	path := filepath.Join("..", "..", "docs", "reference", "cli.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page.String() {
		t.Errorf("docs/reference/cli.md is not the commands' help any more; run this test with -update")
	}
}

// TestHelp holds each verb to what a reader expects of its help: a short line, an example, described flags.
func TestHelp(t *testing.T) {
	walk(newRoot(), func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: no short help or no example", c.CommandPath())
		}
	})
}

func describe(page *strings.Builder, root *cobra.Command) {
	walk(root, func(c *cobra.Command) {
		if c.HasSubCommands() {
			return
		}
		fmt.Fprintf(page, "\n## %s\n\n%s.\n", c.CommandPath(), c.Short)
		if c.Long != "" {
			fmt.Fprintf(page, "\n%s\n", c.Long)
		}
		fmt.Fprintf(page, "\n```\n%s\n\n%s\n", c.UseLine(), c.LocalFlags().FlagUsages())
		fmt.Fprintf(page, "Examples:\n%s\n```\n", c.Example)
	})
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}
