package main

import (
	"github.com/spf13/cobra"
)

// clientFlags are what every verb of a sender takes.
type clientFlags struct {
	config string
	queue  string
	json   bool
}

func (f *clientFlags) add(c *cobra.Command, shapes ...shape) {
	c.Flags().StringVarP(&f.config, "config", "c", "client.toml", "who sends, to where")
	c.Flags().StringVarP(&f.queue, "queue", "q", "", "queue (default: the one in client.toml)")
	jsonFlag(c, &f.json, shapes...)
}

func taskCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "task",
		Short:   "Send tasks, wait for them, look at them",
		Example: "  caisson task send text.upper --input '\"hello\"' --wait",
	}
	c.AddCommand(taskSendCommand(), taskWaitCommand(), taskShowCommand(), taskCancelCommand())
	return c
}
