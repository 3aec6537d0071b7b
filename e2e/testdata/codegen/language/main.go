// A program that reads many configurations through generated code, and says what it has read of each.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing/fstest"

	config "github.com/helm-kai/helm-kai/language"
)

func main() {
	var cases []struct {
		Env  map[string]string
		File string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	var said []any
	for _, one := range cases {
		lookup := func(name string) (string, bool) {
			text, ok := one.Env[name]
			return text, ok
		}
		c, err := config.LoadFrom(lookup, fstest.MapFS{"etc/language/all.json": {Data: []byte(one.File)}})
		var wrong *config.Error
		if errors.As(err, &wrong) {
			said = append(said, wrong.Problems)
			continue
		}
		f := c.Files.All
		said = append(said, map[string]string{
			"TEXT": c.Text, "INT": strconv.Itoa(c.Int), "FLOAT": fmt.Sprint(c.Float), "BOOL": fmt.Sprint(c.Bool), "CHOICE": c.Choice,
			"DURATION": strconv.FormatInt(c.Duration.Microseconds(), 10), "URL": c.URL.Scheme, "SECRET": c.Secret.Reveal(), "BLANK": c.Blank.Reveal(),
			"text": f.Text, "int": strconv.Itoa(f.Int), "float": fmt.Sprint(f.Float), "bool": fmt.Sprint(f.Bool),
			"duration": strconv.FormatInt(f.Duration.Microseconds(), 10), "url": f.URL.Scheme, "secret": f.Secret.Reveal(),
		})
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
}
