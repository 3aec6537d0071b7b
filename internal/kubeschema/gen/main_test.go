package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// TestFresh holds that the committed file is what the modules say. Where Go's cache
// does not have them all, nothing is held, and the test says so.
func TestFresh(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads the OpenAPI documents of five versions of Kubernetes")
	}
	generated, err := generate(func(module string) (string, error) { return cached(t, module), nil })
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../schemas.gz")
	if err != nil {
		t.Fatal(err)
	}
	// Compared unpacked: another Go may pack differently.
	if !bytes.Equal(unpack(t, generated), unpack(t, committed)) {
		t.Error("schemas.gz is stale: run go generate -tags schemas ./internal/kubeschema")
	}
}

// cached gives the folder of a module that the cache has.
func cached(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
	stdout, err := cmd.Output()
	var got struct{ Dir string }
	if err != nil || json.Unmarshal(stdout, &got) != nil || got.Dir == "" {
		t.Skipf("the module cache does not have %s, so that the schemas are not compared with it", module)
	}
	return got.Dir
}

func unpack(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
