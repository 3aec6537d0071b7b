//go:build unix

package e2e

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// vaultRun is a command that kai runs and watches a Vault for. The command writes its secret to a file whenever it starts.
type vaultRun struct {
	*background
	vault *vaultserver.Server
	said  string
}

// grant makes a token that may read, and whatever else is asked for it.
func grant(t *testing.T, v *vaultserver.Server, more map[string]any) string {
	t.Helper()
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	body := map[string]any{"policies": []string{"reader"}}
	for k, x := range more {
		body[k] = x
	}
	must(t, v.Call(t.Context(), http.MethodPut, "auth/token/create", body, &answer))
	return answer.Auth.Token
}

// keep writes the secret of the command.
func keep(t *testing.T, v *vaultserver.Server, text string) {
	t.Helper()
	must(t, v.Call(t.Context(), http.MethodPut, "secret/data/dev/carts/secret", map[string]any{"data": map[string]any{"token": text}}, nil))
}

// watchVault starts kai with a token, which it reads from a file.
func watchVault(t *testing.T, v *vaultserver.Server, tokenFile string) *vaultRun {
	t.Helper()
	dir := t.TempDir()
	r := &kaiRun{kai: kaiBinary(t)}
	r.dir = dir
	r.env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "VAULT_ADDR=" + v.Addr, "KAI_STORE=vault", "KAI_DEPLOYMENT=dev", "KAI_VAULT_TOKEN_FILE=" + tokenFile}
	said := filepath.Join(dir, "said")
	b := r.start(t, "run", "--app", "carts", "--watch", "--interval", "200ms", "--", "sh", "-c", `echo "$TOKEN" >> "$0"; exec sleep 600`, said)
	return &vaultRun{b, v, said}
}

// starts waits until the command has started with just these secrets, one after the other.
func (r *vaultRun) starts(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(time.Minute); !slices.Equal(got, want); time.Sleep(50 * time.Millisecond) {
		data, err := os.ReadFile(r.said)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		got = strings.Fields(string(data))
		if time.Now().After(end) {
			t.Fatalf("the command has started with %q, want %q\n%s", got, want, r.stderr.Bytes())
		}
	}
}

// end ends the run, which says no secret and no token.
func (r *vaultRun) end(t *testing.T, tokens ...string) {
	t.Helper()
	must(t, r.cmd.Process.Signal(syscall.SIGTERM))
	got := r.wait(t)
	if got.code != 128+int(syscall.SIGTERM) {
		t.Errorf("the exit code is %d\n%s", got.code, got.stderr)
	}
	for _, secret := range append(tokens, "canary") {
		if out := string(got.stdout) + string(got.stderr); strings.Contains(out, secret) {
			t.Errorf("it shows a secret:\n%s", out)
		}
	}
}

// allow lets the policy reader read paths of the deployment dev.
func allow(t *testing.T, v *vaultserver.Server, paths string) {
	t.Helper()
	must(t, v.Call(t.Context(), http.MethodPut, "sys/policies/acl/reader", map[string]any{"policy": `path "secret/data/dev/` + paths + `" { capabilities = ["read"] }`}, nil))
}

// TestRunWithATokenThatEnds watches with two tokens that live for fifteen seconds, in which a slow machine has them read. One can be renewed, and is. The other ends
// between two reads: the command goes on, it is said, and a new token in the file is taken, with no change lost.
func TestRunWithATokenThatEnds(t *testing.T) {
	t.Parallel()
	v := vaultserver.ForTest(t, cache(t), root(t))
	allow(t, v, "*")
	keep(t, v, "canary-1")
	kaiBinary(t) // which may take longer than a token lives
	files := [2]string{filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "token")}
	renewable, ends := grant(t, v, map[string]any{"ttl": "15s"}), grant(t, v, map[string]any{"ttl": "15s", "renewable": false})
	write(t, files[0], renewable)
	write(t, files[1], ends)
	a, b := watchVault(t, v, files[0]), watchVault(t, v, files[1])
	a.starts(t, "canary-1")
	b.starts(t, "canary-1")
	b.until(t, "the token has expired, was revoked or is used up")
	time.Sleep(5 * time.Second) // so that the other has outlived its first end
	keep(t, v, "canary-2")
	a.starts(t, "canary-1", "canary-2")
	if text := string(a.stderr.Bytes()); strings.Contains(text, "expired") {
		t.Errorf("the token that can be renewed was not:\n%s", text)
	}
	b.starts(t, "canary-1")
	another := grant(t, v, nil)
	write(t, files[1], another)
	b.starts(t, "canary-1", "canary-2")
	a.end(t, renewable)
	b.end(t, ends, another)
}

// TestRunAtAFaultyVault takes away, one after the other, what a command that is watched for needs of its Vault. The command
// goes on with what it has, what is wrong is said, and no change is lost when it is back.
func TestRunAtAFaultyVault(t *testing.T) {
	t.Parallel()
	v := vaultserver.ForTest(t, cache(t), root(t))
	allow(t, v, "*")
	keep(t, v, "canary-0")
	token := grant(t, v, nil)
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, token)
	r := watchVault(t, v, file)
	r.starts(t, "canary-0")
	want := []string{"canary-0"}
	// changed changes the secret, and waits until the command has it.
	changed := func() {
		t.Helper()
		text := "canary-" + strconv.Itoa(len(want))
		keep(t, v, text)
		want = append(want, text)
		r.starts(t, want...)
	}

	// Denied on one path.
	allow(t, v, "global/*")
	r.until(t, `path "secret/data/dev/carts/secret" { capabilities = ["read"] }`)
	allow(t, v, "*")
	changed()

	// Too many requests: for a while no more than one in two seconds.
	const quota = "sys/quotas/rate-limit/few"
	must(t, v.Call(t.Context(), http.MethodPut, quota, map[string]any{"path": "secret/", "rate": 0.5, "interval": "2s"}, nil))
	r.until(t, "too many requests")
	must(t, v.Call(t.Context(), http.MethodDelete, quota, nil, nil))
	changed()

	// Sealed.
	must(t, v.Seal(t.Context()))
	r.until(t, "is sealed")
	must(t, v.Open(t.Context()))
	changed()

	// Killed, and back.
	must(t, v.Kill())
	r.until(t, "refuses the connection")
	must(t, v.Resume(t.Context()))
	must(t, v.Open(t.Context()))
	changed()
	r.end(t, token)
}

// TestSecretsSmallDisk fills a disk with a file of secrets. Only this process and its children see it.
func TestSecretsSmallDisk(t *testing.T) {
	t.Parallel()
	onSmallDisk(t, "./internal/secrets/file", "TestSmallDisk")
}

// onSmallDisk runs a test of kai's module with a disk of two MiB, or skips where none can be mounted.
func onSmallDisk(t *testing.T, pkg, test string) {
	t.Helper()
	dir := t.TempDir()
	mount := `mount -t tmpfs -o size=2m none "$1" || exit 77; shift; exec "$@"`
	cmd := exec.CommandContext(t.Context(), "unshare", "-r", "-m", "sh", "-c", mount, "sh", dir, "go", "test", "-count=1", "-v", "-timeout=5m", "-run=^"+test+"$", pkg)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "KAI_TEST_SMALL_DISK="+dir)
	out, err := cmd.CombinedOutput()
	text := string(out)
	if errors.Is(err, exec.ErrNotFound) || strings.Contains(text, "unshare: ") || cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 77 {
		t.Skipf("a disk cannot be mounted here: %v %s", err, text)
	}
	if err != nil || !strings.Contains(text, "--- PASS: "+test) {
		t.Fatalf("%v\n%s", err, text)
	}
}
