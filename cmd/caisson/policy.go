package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Check a policy, and explain what it decides",
		Example: "  caisson policy check policy.toml\n  caisson policy explain message.bin --policy policy.toml",
	}
	c.AddCommand(policyCheckCommand(), policyExplainCommand())
	return c
}

// policyFileInfo is a policy's file that is without fault.
type policyFileInfo struct {
	Audience string   `json:"audience"`
	File     string   `json:"file"`
	Tenants  []string `json:"tenants"`
}

func policyCheckCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "check FILE",
		Short:   "Report every fault of a policy with its line",
		Example: "  caisson policy check policy.toml",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), policyFileInfo{p.Audience(), args[0], p.Tenants()})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "audience %s\ntenants  %d\nok       %s\n", p.Audience(), len(p.Tenants()), oneLine(args[0]))
			return err
		},
	}
	jsonFlag(c, &asJSON, shape{"", policyFileInfo{}})
	return c
}

func policyExplainCommand() *cobra.Command {
	policyPath, manifestFile, at, asJSON := "", "", "", false
	c := &cobra.Command{
		Use:   "explain MESSAGE",
		Short: "Print every decision that the policy makes about a message, with the line that made it",
		Long: `MESSAGE is a file with the message's bytes, or - for stdin. With --manifest, the task's needs are held against the
grants as well. Exit status 0 when the worker would run it, 3 when it would refuse it.`,
		Example: "  caisson policy explain message.bin --policy policy.toml --manifest task.toml",
		Args:    exactly("MESSAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			if at != "" {
				var err error
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return misuse("--at: %q is no time such as 2026-01-02T15:04:05Z", at)
				}
			}
			rules, err := readPolicy(policyPath)
			if err != nil {
				return err
			}
			var needs *capability.Set
			if manifestFile != "" {
				m, err := readManifest(manifestPath([]string{manifestFile}))
				if err != nil {
					return err
				}
				needs = &m.Needs
			}
			message, err := readMessage(c.Context(), args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			return explain(c, rules, message, needs, now, asJSON)
		},
	}
	c.Flags().StringVarP(&policyPath, "policy", "p", "policy.toml", "the policy")
	c.Flags().StringVarP(&manifestFile, "manifest", "m", "", "the task's manifest, or its folder")
	c.Flags().StringVar(&at, "at", "", "judge as of this time, RFC 3339 (default: now)")
	jsonFlag(c, &asJSON, shape{"", policy.Explanation{}})
	return c
}

func readMessage(ctx context.Context, path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return readStdin(ctx, stdin, messageFileMax)
	}
	return readFile(path, messageFileMax)
}

// explain prints the decisions. A message that does not open has none: its own fault is the answer.
func explain(c *cobra.Command, rules *policy.Policy, message []byte, needs *capability.Set, now time.Time, asJSON bool) error {
	x := explainMessage(rules, message, needs, now)
	var err error
	if asJSON {
		err = printJSON(c.OutOrStdout(), x)
	} else {
		_, err = io.WriteString(c.OutOrStdout(), x.String())
	}
	if err != nil || x.Code == "" {
		return err
	}
	err = refused(errors.New(x.Text))
	if x.Hint != "" {
		err = &hintError{err, x.Hint}
	}
	return err
}

func explainMessage(rules *policy.Policy, message []byte, needs *capability.Set, now time.Time) policy.Explanation {
	verified, err := envelope.Reader{Keys: rules, Audience: rules.Audience()}.Open(message, now)
	var other *envelope.TypeError
	if errors.As(err, &other) { // an order, perhaps
		order, wrong := envelope.OrderReader{Keys: rules, Audience: rules.Audience()}.Open(message, now)
		if wrong == nil {
			return rules.ExplainOrder(order, now)
		}
		if !errors.As(wrong, &other) {
			err = wrong
		}
	}
	if err != nil {
		x := policy.Explanation{Steps: []policy.Step{}, Verdict: "refused", Code: envelope.CodeEncoding, Text: err.Error()}
		var coded interface{ Code() string }
		if errors.As(err, &coded) {
			x.Code = coded.Code()
		}
		if x.Code == envelope.CodeKeyUnknown {
			x.Hint = "if the sender may send here, add its public key to a principal"
		}
		return x
	}
	if needs != nil {
		return rules.ExplainRelease(verified, now, *needs)
	}
	return rules.Explain(verified, now)
}
