package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/redisacl"
)

func redisCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "redis",
		Short:   "What Redis must know about Caisson",
		Example: "  caisson redis acl --tenant acme --key-id 00112233445566778899aabbccddeeff",
	}
	c.AddCommand(redisACLCommand())
	return c
}

// aclInfo is one user of Redis.
type aclInfo struct {
	Role   string   `json:"role"`
	User   string   `json:"user"`
	Rights string   `json:"rights"`
	Args   []string `json:"args"` // the rights as arguments of ACL SETUSER: a selector is one
}

// roleNames are all roles.
func roleNames() []string {
	var names []string
	for _, r := range redisacl.Roles() {
		names = append(names, string(r))
	}
	return names
}

func redisACLCommand() *cobra.Command {
	var roles, queues []string
	tenant, keyID, asJSON := "", "", false
	c := &cobra.Command{
		Use:   "acl [ROLE...]",
		Short: "Print the users that Redis needs, in the form of an ACL file",
		Long: `Prints one user for each role, all of them unless roles are named: worker, producer, kv, store, operator, watcher.
A producer belongs to one --tenant and reads the results of one --key-id (caisson key show); an operator reads the
answers to the orders of one --key-id. Without --queue a user may work with every queue.

The lines are those of an ACL file, with PASSWORD to be replaced: ">" and the password, or "#" and its SHA-256. The line of the user
"default" belongs into the file, too: it is off, and keeps the rights with which Redis replays its append-only file.
With --json each user comes with its rights as arguments of ACL SETUSER.`,
		Example:           "  caisson redis acl worker kv store\n  caisson redis acl producer --tenant acme --key-id 00112233445566778899aabbccddeeff --queue default",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.FixedCompletions(roleNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			scope := redisacl.Scope{Queues: queues, Tenant: tenant, KeyID: keyID}
			if err := checkScope(scope); err != nil {
				return err
			}
			if roles = args; len(roles) == 0 {
				roles = roleNames()
			}
			var users []aclInfo
			for _, role := range roles {
				rights, err := redisacl.Rules(redisacl.Role(role), scope)
				if err != nil {
					return misuse("%v", err).withHint("%s --help", c.CommandPath())
				}
				users = append(users, aclInfo{Role: role, User: role, Rights: rights, Args: aclArgs(rights)})
			}
			return printACL(c, users, asJSON)
		},
	}
	c.Flags().StringVar(&tenant, "tenant", "", "whose lanes a producer may use, and whose values a kv may (default for kv: all)")
	c.Flags().StringVar(&keyID, "key-id", "", "id of the key whose results a producer or operator may read")
	c.Flags().StringArrayVarP(&queues, "queue", "q", nil, "queue that the users may work with; may be repeated (default: all)")
	jsonFlag(c, &asJSON, shape{"", aclInfo{}})
	return c
}

// checkScope keeps patterns out of the rights: a star in a name would be one.
func checkScope(s redisacl.Scope) error {
	for _, q := range s.Queues {
		if err := queue.CheckName("queue", q); err != nil {
			return misuse("--queue: %v", err)
		}
	}
	if s.Tenant != "" {
		if err := queue.CheckName("tenant", s.Tenant); err != nil {
			return misuse("--tenant: %v", err)
		}
	}
	if s.KeyID != "" {
		if err := queue.CheckID("key id", s.KeyID); err != nil {
			return misuse("--key-id: %v", err)
		}
	}
	return nil
}

func printACL(c *cobra.Command, users []aclInfo, asJSON bool) error {
	w := c.OutOrStdout()
	if !asJSON {
		if _, err := fmt.Fprintln(w, redisacl.Default()); err != nil {
			return err
		}
	}
	for _, u := range users {
		if asJSON {
			if err := printJSON(w, u); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "user %s on >PASSWORD %s\n", u.User, u.Rights); err != nil {
			return err
		}
	}
	return nil
}

// aclArgs splits rights into arguments: at spaces, but not within a selector's parentheses.
func aclArgs(rights string) []string {
	var out []string
	for _, word := range strings.Fields(rights) {
		if n := len(out) - 1; n >= 0 && strings.HasPrefix(out[n], "(") && !strings.HasSuffix(out[n], ")") {
			out[n] += " " + word
			continue
		}
		out = append(out, word)
	}
	return out
}
