package policy

import (
	"errors"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
)

// The shape of policy.toml. docs/reference/policy.md says what each key means.
type (
	source struct {
		Version   int64       `toml:"version"`
		Audience  string      `toml:"audience"`
		Tenant    []tenantSrc `toml:"tenant"`
		Role      []roleSrc   `toml:"role"`
		Principal []holderSrc `toml:"principal"`
		Publisher []pubSrc    `toml:"publisher"`
		Worker    []workerSrc `toml:"worker"`
	}

	tenantSrc struct {
		Name     string       `toml:"name"`
		KV       *strict.Size `toml:"kv"`
		InFlight *int64       `toml:"in_flight"`
	}

	roleSrc struct {
		Name  string     `toml:"name"`
		Grant []grantSrc `toml:"grant"`
	}

	grantSrc struct {
		Queues   []string  `toml:"queues"`
		Tasks    []string  `toml:"tasks"`
		Caps     []string  `toml:"caps"`
		Limits   limitsSrc `toml:"limits"`
		InFlight *int64    `toml:"in_flight"`
		Rate     *rate     `toml:"rate"`
		Burst    *int64    `toml:"burst"`
	}

	// Pointers, because a limit that is not stated and a limit of nothing are different things.
	limitsSrc struct {
		Memory   *strict.Size     `toml:"memory"`
		Stack    *strict.Size     `toml:"stack"`
		Result   *strict.Size     `toml:"result"`
		Log      *strict.Size     `toml:"log"`
		Payload  *strict.Size     `toml:"payload"`
		Wall     *strict.Duration `toml:"wall"`
		CPU      *strict.Duration `toml:"cpu"`
		Calls    *int64           `toml:"calls"`
		LogLines *int64           `toml:"log_lines"`
		Fuel     *int64           `toml:"fuel"`
		Tables   *int64           `toml:"tables"`
	}

	holderSrc struct {
		Name        string   `toml:"name"`
		Purpose     string   `toml:"purpose"`
		Tenant      string   `toml:"tenant"`
		Keys        []string `toml:"keys"`
		NotBefore   *instant `toml:"not_before"`
		NotAfter    *instant `toml:"not_after"`
		Revoked     bool     `toml:"revoked"`
		RevokedKeys []string `toml:"revoked_keys"`
		Roles       []string `toml:"roles"`
	}

	pubSrc struct {
		Name        string   `toml:"name"`
		Keys        []string `toml:"keys"`
		Revoked     bool     `toml:"revoked"`
		RevokedKeys []string `toml:"revoked_keys"`
		Tasks       []string `toml:"tasks"`
	}

	workerSrc struct {
		Name        string   `toml:"name"`
		Keys        []string `toml:"keys"`
		Revoked     bool     `toml:"revoked"`
		RevokedKeys []string `toml:"revoked_keys"`
	}
)

// instant is a point in time, written with its zone, so that a file means the same on every machine.
type instant time.Time

func (i *instant) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return errors.New(`not an instant with its zone, such as "2027-01-31T00:00:00Z"`)
	}
	*i = instant(t)
	return nil
}
