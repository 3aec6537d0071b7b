// Command jsonschema checks a document on stdin against the JSON Schema in a file, of whichever draft that says it is. It is a
// module of its own, so that the end-to-end tests, which build it, need no library for it.
package main

import (
	"fmt"
	"os"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%#v\n", err)
		os.Exit(1)
	}
}

func check(file string) error {
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(os.Stdin)
	if err != nil {
		return err
	}
	return schema.Validate(document)
}
