package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// followEvery is how often the state and the progress of a task are looked at. Its end is waited for, not looked for.
const followEvery = 300 * time.Millisecond

// turnInfo is one change of a task that is followed.
type turnInfo struct {
	ID         string    `json:"id"`
	Phase      string    `json:"phase"`
	Attempt    int       `json:"attempt,omitempty"`
	Progress   string    `json:"progress,omitempty"`
	ProgressAt time.Time `json:"progress_at,omitzero"`
}

// followTask says how a task goes on until it has a result. Once it has seen the task, it goes on through an outage of the broker, as a wait does.
func followTask(c *cobra.Command, conn *connection, id envelope.MessageID, asJSON bool) error {
	ctx, stop := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() { // ends with ctx
		_, err := waitFor(ctx, conn.results, conn.file.Queue, conn.key.Public().ID().String(), id.String())
		ended <- err
	}()
	waiting := true
	defer func() {
		if stop(); waiting {
			<-ended
		}
	}()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	away := false
	for last := (turnInfo{}); ; {
		now, err := lookAtTask(ctx, conn, id)
		switch {
		case err != nil && (last.ID == "" || !passing(err)):
			return err
		case err != nil && !away:
			fmt.Fprintf(c.ErrOrStderr(), "caisson: task %s cannot be looked at just now: %v\n", id, err)
		case err == nil && now != last:
			if err := printTurn(c, now, asJSON); err != nil {
				return err
			}
			last = now
		}
		away = err != nil
		select {
		case err := <-ended:
			waiting = false
			return err
		case <-tick.C:
		}
	}
}

func lookAtTask(ctx context.Context, conn *connection, id envelope.MessageID) (turnInfo, error) {
	lane := queue.Lane{Queue: conn.file.Queue, Tenant: conn.file.Tenant, Priority: queue.PriorityNormal}
	info := turnInfo{ID: id.String(), Phase: "unknown"}
	state, err := conn.redis.State(ctx, lane, id.String())
	switch {
	case forbidden(err):
		info.Phase = "hidden"
	case err != nil:
		return info, err
	case state.Phase != queue.PhaseUnknown:
		info.Phase, info.Attempt = string(state.Phase), state.Attempt
	}
	info.Progress, info.ProgressAt, err = reportOf(ctx, conn, lane, id)
	return info, err
}

// reportOf returns the newest report of a task, none when the user of Redis may not read it.
func reportOf(ctx context.Context, conn *connection, lane queue.Lane, id envelope.MessageID) (string, time.Time, error) {
	text, at, err := conn.redis.Progress(ctx, lane, id.String())
	if forbidden(err) {
		return "", time.Time{}, nil
	}
	if !at.IsZero() {
		at = at.UTC()
	}
	return text, at, err
}

// forbidden says whether this user of Redis may not do what was asked.
func forbidden(err error) bool {
	var away *queue.UnavailableError
	return errors.As(err, &away) && away.Reason == queue.ReasonPermission
}

// passing says whether err is the broker's and may be over soon.
func passing(err error) bool {
	var away *queue.UnavailableError
	return errors.As(err, &away) && away.Reason != queue.ReasonAuth && away.Reason != queue.ReasonPermission && away.Reason != queue.ReasonData
}

func printTurn(c *cobra.Command, s turnInfo, asJSON bool) error {
	if asJSON {
		return printJSON(c.OutOrStdout(), s)
	}
	line := s.Phase
	if s.Attempt > 1 {
		line += fmt.Sprintf(" attempt=%d", s.Attempt)
	}
	if s.Progress != "" {
		line += " " + oneLine(s.Progress)
	}
	_, err := fmt.Fprintf(c.ErrOrStderr(), "caisson: task %s %s\n", s.ID, line)
	return err
}
