package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// settingError is one that asking again does not help.
type settingError struct{ error }

func (settingError) Lasting() bool { return true }

// deniedError is that of a store which refuses who asks.
type deniedError struct{ error }

func (deniedError) Denied() bool { return true }

// TestRevokedBeforeTheStart: who may not read any more does not start with the copy
// of what could be read before, as one does whose store is away.
func TestRevokedBeforeTheStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		copied bool
	}{
		"denied": {deniedError{errors.New("the token was revoked")}, false},
		"away":   {errors.New("it is away"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse([]string{"kai-run", "--deployment=dev", "--app=a", "--retry=0s", "--offline-ok", filepath.Join(t.TempDir(), "copy"), "cmd"}, []string{"KAI_OFFLINE_KEY=" + strings.Repeat("ab", 32)})
			if err != nil {
				t.Fatal(err)
			}
			offline, err := openOffline(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := offline.save(c, nil); err != nil {
				t.Fatal(err)
			}
			stderr, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stderr.Close() })
			from := &origin{config: c, offline: offline, world: World{Stderr: stderr, Open: func(context.Context, Config) (secrets.Store, error) { return nil, test.err }}}
			env, err := from.first(t.Context())
			if test.copied != (env != nil && err == nil) {
				t.Errorf("it starts: %v, %v", env != nil, err)
			}
		})
	}
}

// TestDeniedIsSaidOnce: which path is denied first is not the same each time.
func TestDeniedIsSaidOnce(t *testing.T) {
	t.Parallel()
	c, err := Parse([]string{"kai-run", "--deployment=dev", "--app=a", "--watch", "--interval=1ms", "cmd"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		all, _ := io.ReadAll(read)
		_ = read.Close()
		said <- string(all)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	store := &storetest.Memory{Before: func(context.Context, string) error {
		switch asked++; {
		case asked <= 5:
			return deniedError{fmt.Errorf("no right to read %d", asked)}
		case asked == 8:
			cancel()
		}
		return nil
	}}
	from := &origin{config: c, store: store, world: World{Stderr: write}}
	news := from.watch(ctx, [32]byte{})
	for more := true; more; {
		select {
		case <-news:
		case <-from.idle:
			more = false
		}
	}
	_ = write.Close()
	if got := <-said; got != "kai-run: going on as it is: no right to read 1\nkai-run: the store may be read again\n" {
		t.Errorf("it says %s", got)
	}
}

// TestLastingErrorsAreNotRepeated: only a store that is away is asked again.
func TestLastingErrorsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		once bool
	}{
		"a setting": {settingError{errors.New("there is no such store")}, true},
		"a key":     {&secrets.SealedError{Err: errors.New("it does not open")}, true},
		"denied":    {deniedError{errors.New("the token was revoked")}, true},
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
