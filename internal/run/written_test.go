package run

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TestStartErrors hold that what a secret was put into is not printed.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	env := &Environment{named: map[string]secrets.Value{"TOKEN": secrets.New("example-canary")}}
	c := Config{Command: []string{"/opt/$(TOKEN)", "x"}}
	argv := env.argv(c.Command)
	for _, cause := range []error{syscall.ENOENT, syscall.EACCES, &fs.PathError{Op: "fork/exec", Path: argv[0], Err: syscall.ENOENT}} {
		if _, err := failedStart(written(c, argv, argv[0]), env, cause); err == nil || strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "/opt/$(TOKEN) cannot be started") {
			t.Errorf("the error is %v", err)
		}
	}
	if got := written(Config{Command: []string{"cmd"}}, []string{"cmd"}, "/bin/cmd"); got != "/bin/cmd" {
		t.Errorf("got %s", got)
	}
}
