package redisqueue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// do runs f, which must be safe to run again, and types its error.
//
// A pooled connection that has died (Redis was restarted) shows only when it is used,
// so f is run again at once, as often as there may be such connections. When the server
// cannot be dialled f is not run again: the caller decides when to retry.
func (c *Client) do(ctx context.Context, op string, f func(context.Context) error) error {
	if c.closer.isClosed() {
		return queue.ErrClosed
	}
	tries := 1 + min(int(c.rdb.PoolStats().IdleConns)+1, c.conf.Connections)
	for {
		err := f(ctx)
		if err == nil || err == redis.Nil {
			return err
		}
		if errors.Is(err, redis.Nil) {
			// go-redis calls such Sentinels unreachable, and its nil would pass for an answer of ours.
			err = fmt.Errorf("a Sentinel that answers knows no master %q", c.conf.Master)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.closer.isClosed() {
			return queue.ErrClosed
		}
		tries--
		if tries == 0 || !stale(err) {
			c.askAnew(err)
			return unavailable(op, c.connector.explain(err))
		}
	}
}

// askAnew reloads the slots of a cluster after a node did not answer: another one may have taken its place by now. go-redis by itself
// reloads them only after a redirection, and once a minute.
func (c *Client) askAnew(err error) {
	nodes, ok := c.rdb.(*redis.ClusterClient)
	if why := reason(err); ok && (why == queue.ReasonConnection || why == queue.ReasonTimeout) {
		nodes.ReloadState(context.Background()) // in the background, and no more than one at a time
	}
}

// exec sends pipe and returns an error only when there are no replies to look at
// one by one: an error reply to one command is left with that command. go-redis
// returns the first of them as the pipeline's error, and, when a new connection
// is refused by an error reply, that error while every command seems to be fine.
func exec(ctx context.Context, pipe redis.Pipeliner) ([]redis.Cmder, error) {
	cmds, err := pipe.Exec(ctx)
	if err == nil || !fromServer(err) {
		return cmds, err
	}
	for _, cmd := range cmds {
		if fromServer(cmd.Err()) {
			return cmds, nil
		}
	}
	return cmds, err
}

// fromServer says whether err is an error reply (or nil, the reply).
func fromServer(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// stale says whether err is that of a connection that was cut.
func stale(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op != "dial" && !op.Timeout() && !refusedByTLS(err)
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// unavailable types err, which is not nil and not the end of the caller's context: do checks that first. A context's error here is
// that of go-redis's own dial timeout. It must not pass for the caller's, or a worker gives up an outcome that it should write again.
func unavailable(op string, err error) error {
	var known *queue.UnavailableError
	var field *queue.FieldError
	if errors.As(err, &known) || errors.As(err, &field) || err == queue.ErrClosed {
		return err
	}
	return &queue.UnavailableError{Op: op, Reason: reason(err), Err: err}
}

// damaged returns the error for a reply that no script or command of ours gives.
func damaged(op string, err error) error {
	return &queue.UnavailableError{Op: op, Reason: queue.ReasonData, Err: err}
}

// replies maps the first word of an error reply to what it means.
// Source: Redis 7 src/server.c (shared errors), and cluster.c.
var replies = map[string]queue.Reason{
	"LOADING":      queue.ReasonLoading,
	"READONLY":     queue.ReasonReadOnly,
	"MISCONF":      queue.ReasonReadOnly,
	"NOREPLICAS":   queue.ReasonReadOnly,
	"OOM":          queue.ReasonMemory,
	"NOAUTH":       queue.ReasonAuth,
	"WRONGPASS":    queue.ReasonAuth,
	"NOPERM":       queue.ReasonPermission,
	"CLUSTERDOWN":  queue.ReasonCluster,
	"MOVED":        queue.ReasonCluster,
	"ASK":          queue.ReasonCluster,
	"CROSSSLOT":    queue.ReasonCluster,
	"TRYAGAIN":     queue.ReasonCluster,
	"BUSY":         queue.ReasonBusy,
	"UNKILLABLE":   queue.ReasonBusy,
	"MASTERDOWN":   queue.ReasonMasterDown,
	"NOGROUP":      queue.ReasonData,
	"WRONGTYPE":    queue.ReasonData,
	"BUSYKEY":      queue.ReasonData,
	"INVALIDOBJ":   queue.ReasonData,
	"NOSCRIPT":     queue.ReasonBusy,
	"EXECABORT":    queue.ReasonBusy,
	"NOTBUSY":      queue.ReasonBusy,
	"UNBLOCKED":    queue.ReasonData, // the lane was deleted while we waited on it
	"INPROG":       queue.ReasonBusy,
	"NOMASTERLINK": queue.ReasonMasterDown,
}

func reason(err error) queue.Reason {
	var reply redis.Error
	if errors.As(err, &reply) {
		return replyReason(reply.Error())
	}
	var large *largeReplyError
	if errors.As(err, &large) {
		return queue.ReasonData
	}
	if refusedByTLS(err) {
		return queue.ReasonAuth
	}
	var timeout net.Error
	if errors.Is(err, redis.ErrPoolTimeout) || errors.As(err, &timeout) && timeout.Timeout() {
		return queue.ReasonTimeout
	}
	return queue.ReasonConnection
}

func replyReason(text string) queue.Reason {
	word, rest, _ := strings.Cut(text, " ")
	if r, ok := replies[word]; ok {
		return r
	}
	if word == "ERR" {
		switch {
		case strings.HasPrefix(rest, "max number of clients"):
			return queue.ReasonConnection
		case strings.Contains(rest, "AUTH"), strings.HasPrefix(rest, "invalid password"):
			return queue.ReasonAuth
		case strings.HasPrefix(rest, "The user executing the script"), strings.HasPrefix(rest, "ACL failure in script"): // see lua/foreign.lua
			return queue.ReasonPermission
		}
	}
	// Any other error reply is about what the keys hold.
	return queue.ReasonData
}

// refusedByTLS says whether one side did not accept the other's certificate or
// protocol. In TLS 1.3 a client may also just find the connection reset, when it
// writes before it has read the server's alert; that cannot be told from a loss.
func refusedByTLS(err error) bool {
	var op *net.OpError // crypto/tls: an alert that came, or one that we sent
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return true
	}
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &name)
}
