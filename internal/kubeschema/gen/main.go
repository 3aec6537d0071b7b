// Gen writes schemas.gz, what kubeschema knows of Kubernetes' APIs, from the
// modules that Kubernetes itself publishes: the schemas from the OpenAPI document
// of k8s.io/kubernetes, the values of its enums from the Go code that the document
// is made of, and the lives of its APIs from the methods of the types in
// k8s.io/api. It takes the modules from Go's cache, or has Go fetch them.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

// minors are the versions of Kubernetes, oldest first: of each minor the newest
// that the Go module proxy has.
var minors = []string{"1.33.13", "1.34.4", "1.35.4", "1.36.3", "1.37.1"}

// lives are the modules whose types say when an API came and went, oldest first:
// what a newer one says counts. The oldest knows what is long gone.
var lives = []string{
	"k8s.io/api@v0.24.2", "k8s.io/api@v0.29.0", "k8s.io/apiextensions-apiserver@v0.36.3", "k8s.io/kube-aggregator@v0.36.3",
	"k8s.io/api@v0.36.3", "k8s.io/api@v0.37.1",
}

func main() {
	out := flag.String("o", "schemas.gz", "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "kubeschema/gen:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	data, err := generate(download)
	if err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}

// generate gives the file. The folder of a module, named as module@version, is
// asked of find.
func generate(find func(module string) (string, error)) ([]byte, error) {
	var pack kubeschema.Pack
	for _, version := range minors {
		dir, err := find("k8s.io/kubernetes@v" + version)
		if err != nil {
			return nil, err
		}
		if err := addMinor(&pack, dir, version); err != nil {
			return nil, fmt.Errorf("schemas of Kubernetes %s: %w", version, err)
		}
	}
	all := lifecycles{}
	for _, module := range lives {
		dir, err := find(module)
		if err != nil {
			return nil, err
		}
		if err := all.read(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", module, err)
		}
	}
	pack.Lives = all.list()
	return pack.Encode()
}

func addMinor(pack *kubeschema.Pack, dir, version string) error {
	document, err := os.ReadFile(filepath.Join(dir, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		return err
	}
	var swagger swagger
	if err := json.Unmarshal(document, &swagger); err != nil {
		return err
	}
	enums, err := readEnums(filepath.Join(dir, "pkg", "generated", "openapi", "zz_generated.openapi.go"))
	if err != nil {
		return err
	}
	kinds, definitions, err := swagger.reduce(enums)
	if err != nil {
		return err
	}
	return pack.Add(version, kinds, definitions)
}

// download gives the folder of a module, which Go fetches where its cache has none.
func download(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // none of a module whose go.sum would not know it
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	stdout, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(stdout, &got); jsonErr != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, errors.Join(err, jsonErr))
	}
	if got.Error != "" {
		return "", fmt.Errorf("go mod download %s: %s", module, got.Error)
	}
	return got.Dir, err
}
