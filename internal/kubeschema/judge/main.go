// Judge says of objects what kubeschema has against them: an object on each line of
// the input, as JSON, a list of problems on each line of the output. The end-to-end
// tests set it against a real API server.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	kubejson "k8s.io/apimachinery/pkg/util/json"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

func main() {
	version := flag.String("kube-version", "", "minor of Kubernetes, the newest by default")
	flag.Parse()
	if err := run(*version, flag.Args(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kubeschema/judge:", err)
		os.Exit(1)
	}
}

// run judges the objects of in; the files hold CustomResourceDefinitions.
func run(version string, files []string, in io.Reader, out io.Writer) error {
	schemas, err := kubeschema.Load(version)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := addCRDs(schemas, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	reader, writer := bufio.NewReader(in), bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 1 {
			var object map[string]any
			if err := kubejson.Unmarshal(line, &object); err != nil {
				return err
			}
			if err := encoder.Encode(schemas.Validate(object)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return writer.Flush()
		}
		if err != nil {
			return err
		}
	}
}

func addCRDs(schemas *kubeschema.Schemas, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	objects, err := manifest.Parse(string(data))
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Ref.Kind == "CustomResourceDefinition" {
			flaws, err := schemas.AddCRD(o.Fields)
			if err != nil {
				return err
			}
			if len(flaws) > 0 {
				return fmt.Errorf("%s: %s", file, flaws[0])
			}
		}
	}
	return nil
}
