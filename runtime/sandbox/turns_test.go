package sandbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestTurns: who is called when.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		called := ""
		leaves := map[string]func(){}
		want := func(expected string) {
			t.Helper()
			synctest.Wait()
			if called != expected {
				t.Errorf("called %q, want %q", called, expected)
			}
			called = ""
		}
		ask := func(name, tenant string, size int) {
			go func() {
				leave, err := turns.enter(t.Context(), tenant, size)
				if err != nil {
					t.Error(err)
				}
				called += name
				leaves[name] = leave
			}()
			synctest.Wait()
		}
		const small, large = smallModuleMax, smallModuleMax + 1
		ask("A", "a", large)
		ask("B", "a", large) // the tenant has its place
		ask("C", "b", large) // there is only one
		want("A")
		ask("d", "a", small) // places of their own
		ask("e", "a", small)
		ask("f", "a", small)
		ask("g", "b", small)
		want("dg")
		leaves["d"]()
		want("e")
		ask("h", "c", small)
		ask("i", "d", small) // all are taken
		want("h")
		leaves["e"]() // a's last turn was later than d's, which had none
		want("i")
		leaves["h"]()
		want("f")
		leaves["A"]()
		want("C")
		leaves["C"]()
		want("B")
		for _, name := range []string{"B", "f", "g", "i"} {
			leaves[name]()
		}
		if turns.small.free != admitSmall || turns.large.free != admitLarge || len(turns.small.held)+len(turns.large.held) > 0 {
			t.Errorf("%+v", turns)
		}
	})
}

// TestTurnsGivenUp: who does not wait any more is not called.
func TestTurnsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		leave, err := turns.enter(t.Context(), "a", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		answer := make(chan error)
		go func() {
			_, err := turns.enter(ctx, "b", 1<<30)
			answer <- err
		}()
		synctest.Wait()
		cancel(gone)
		if err := <-answer; !errors.Is(err, gone) {
			t.Error(err)
		}
		leave()
		if turns.large.free != admitLarge || len(turns.large.waiting) > 0 {
			t.Errorf("%+v", turns)
		}
	})
}
