package run

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// settingError is one that asking again does not help.
type settingError struct{ error }

func (settingError) Lasting() bool { return true }

// TestLastingErrorsAreNotRepeated: only a store that is away is asked again.
func TestLastingErrorsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		once bool
	}{
		"a setting": {settingError{errors.New("there is no such store")}, true},
		"a key":     {&secrets.SealedError{Err: errors.New("it does not open")}, true},
		"away":      {errors.New("it is away"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse([]string{"kai-run", "--deployment=dev", "--app=a", "--retry=10s", "cmd"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			store := &storetest.Memory{Before: func(context.Context, string) error {
				if asked++; asked == 1 || test.once {
					return test.err
				}
				return nil
			}}
			stderr, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stderr.Close() })
			from := &origin{config: c, world: World{Stderr: stderr, Open: func(context.Context, Config) (secrets.Store, error) { return store, nil }}}
			begin := time.Now()
			_, err = from.first(t.Context())
			switch {
			case test.once && (!errors.Is(err, test.err) || asked != 1):
				t.Errorf("it is asked %d times: %v", asked, err)
			case !test.once && (err != nil || asked != 2):
				t.Errorf("it is asked %d times: %v", asked, err)
			case time.Since(begin) > 8*time.Second:
				t.Error("it takes as long as it may")
			}
		})
	}
}
