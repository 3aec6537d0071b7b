package importer_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/importer"
	"github.com/helm-kai/helm-kai/internal/source"
)

// TestNothingVanishes walks every leaf of Compose files and of Score's workloads:
// its text stands in what is written, or the report names the line of it or of
// what it is a part of. Manifests are compared field by field, with the server's
// defaults (e2e/import_test.go).
func TestNothingVanishes(t *testing.T) {
	t.Parallel()
	all := tree("", "everything")
	for _, c := range []importCase{
		{name: "compose.yaml", run: importer.Compose, trees: []importer.Tree{{Name: all.Name, FS: all.FS, Path: "compose.yaml"}}},
		{name: "score.yaml", run: importer.Score, trees: []importer.Tree{{Name: all.Name, FS: all.FS, Path: "score.yaml"}}},
	} {
		result := run(t, c)
		var written bytes.Buffer
		for _, f := range result.Files {
			written.Write(f.Data)
		}
		var places []string
		for _, e := range result.Report.Entries {
			// What became of a service as a whole says nothing of its parts.
			if e.Outcome != importer.Carried && e.What != "security" && !strings.Contains(e.Why, "nothing in the source names it") {
				places = append(places, e.Place)
			}
		}
		for _, s := range result.Report.Store {
			places = append(places, s.Places...)
		}
		data, err := fs.ReadFile(all.FS, c.name)
		if err != nil {
			t.Fatal(err)
		}
		root, findings := source.ParseYAML(filepath.ToSlash(filepath.Join(all.Name, c.name)), data)
		if findings.Err() != nil {
			t.Fatal(findings)
		}
		n := 0
		var visit func(v *source.Value, at []string, where string)
		visit = func(v *source.Value, at []string, where string) {
			at = append(at[:len(at):len(at)], v.Origin.String())
			for _, f := range v.FieldsOrNone() {
				if !strings.HasPrefix(f.Key, "x-") {
					visit(f.Value, append(at, f.Origin.String()), where+"."+f.Key)
				}
			}
			for i, item := range v.ItemsOrNone() {
				visit(item, at, fmt.Sprintf("%s[%d]", where, i))
			}
			if v.Kind == source.Map || v.Kind == source.List {
				return
			}
			n++
			told := slices.ContainsFunc(at[1:], func(place string) bool { return slices.Contains(places, place) })
			if !told && !carried[c.name+where] && !strings.Contains(written.String(), v.Text) {
				t.Errorf("%s: %s: %q is neither written nor reported", v.Origin, where, v.Text)
			}
		}
		visit(root, nil, "")
		if n < 40 {
			t.Errorf("%s has only %d leaves", c.name, n)
		}
	}
}

// TestEveryKeyIsReported walks every key of every service of Compose files, those
// of friends and of extended and included files as well: the report names it, or
// what stands below it, as carried over, changed or left out, once and at its
// place.
func TestEveryKeyIsReported(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"everything", "compose"} {
		all := tree("", dir)
		result := run(t, importCase{run: importer.Compose, trees: []importer.Tree{{Name: all.Name, FS: all.FS, Path: "compose.yaml"}}})
		told := map[string][]importer.Outcome{}
		for _, e := range result.Report.Entries {
			if name, ok := strings.CutPrefix(e.What, "env "); ok {
				e.What = "services." + e.Service + ".environment." + name
			}
			if strings.HasPrefix(e.What, "services.") && e.Outcome != importer.Decide && !slices.Contains(told[e.What], e.Outcome) {
				told[e.What] = append(told[e.What], e.Outcome)
			}
		}
		extended := map[string]string{"parts/common.yaml": "api"}
		n := 0
		for _, file := range []string{"compose.yaml", "parts/compose.yaml", "parts/common.yaml"} {
			data, err := fs.ReadFile(all.FS, file)
			if err != nil {
				continue
			}
			root, findings := source.ParseYAML(file, data)
			if findings.Err() != nil {
				t.Fatal(findings)
			}
			for _, s := range root.Get("services").Fields {
				name := s.Key
				if by := extended[file]; by != "" {
					name = by
				}
				var visit func(v *source.Value, where string)
				visit = func(v *source.Value, where string) {
					for _, f := range v.FieldsOrNone() {
						path := where + "." + f.Key
						if strings.HasPrefix(f.Key, "x-") || len(told[path]) == 1 {
							n++
							continue
						}
						below := 0
						for what := range told {
							if strings.HasPrefix(what, path+".") || strings.HasPrefix(what, path+" ") {
								below++
							}
						}
						switch {
						case len(told[path]) > 1:
							t.Errorf("%s: %s is %v", file, path, told[path])
						case below == 0:
							t.Errorf("%s: %s: the report says nothing about it", file, path)
						case f.Value.Kind == source.Map:
							visit(f.Value, path)
						}
					}
				}
				visit(s.Value, "services."+name)
			}
		}
		if n < 30 {
			t.Errorf("%s has only %d keys", dir, n)
		}
	}
}

// carried are leaves that are written in other words.
var carried = map[string]bool{
	"compose.yaml.services.web.stop_grace_period":                      true, // 90
	"compose.yaml.services.web.healthcheck.interval":                   true, // periodSeconds
	"compose.yaml.services.web.healthcheck.timeout":                    true,
	"compose.yaml.services.web.healthcheck.start_period":               true,
	"compose.yaml.services.web.healthcheck.test[0]":                    true, // the form of the test
	"compose.yaml.services.web.healthcheck.test[1]":                    true, // httpGet
	"compose.yaml.services.web.deploy.resources.limits.cpus":           true, // 500m
	"compose.yaml.services.web.deploy.resources.limits.memory":         true, // 300Mi
	"compose.yaml.services.web.deploy.resources.reservations.memory":   true,
	"compose.yaml.services.web.image":                                  true, // cut, and with its default
	"compose.yaml.services.web.entrypoint":                             true, // cut into words
	"compose.yaml.services.web.command[1]":                             true, // Our $ board
	"compose.yaml.services.web.env_file[0].path":                       true, // its variables
	"compose.yaml.services.web.env_file[1].path":                       true, // it is not there, and need not be
	"compose.yaml.services.web.env_file[1].required":                   true,
	"compose.yaml.services.web.volumes[1].type":                        true, // a file
	"compose.yaml.services.web.volumes[1].source":                      true,
	"compose.yaml.services.web.deploy.mode":                            true, // the default
	"compose.yaml.services.web.depends_on.api.condition":               true, // a friend
	"compose.yaml.services.api.image":                                  true,
	"compose.yaml.services.api.restart":                                true, // what Kubernetes does
	"compose.yaml.services.web.environment.CACHE":                      true, // a friend's address
	"compose.yaml.services.web.env_file[0].format":                     true,
	"compose.yaml.services.web.ports[1]":                               true, // a route for each
	"compose.yaml.services.api.extends.file":                           true, // what stands there
	"compose.yaml.include[0]":                                          true,
	"compose.yaml.services.base.image":                                 true,
	"compose.yaml.services.web.pull_policy":                            true, // IfNotPresent
	"compose.yaml.services.web.ports[0].protocol":                      true, // the default
	"compose.yaml.services.web.volumes[0].type":                        true,
	"compose.yaml.services.web.user":                                   true, // runAsUser and runAsGroup
	"compose.yaml.services.web.environment.PEER":                       true, // a friend's address
	"compose.yaml.services.web.environment.DEFAULTED":                  true, // its default
	"score.yaml.apiVersion":                                            true,
	"score.yaml.containers.web.image":                                  true,
	"score.yaml.containers.web.variables.DATABASE":                     true, // kai's references
	"score.yaml.containers.web.files./etc/web/site.yaml.binaryContent": true, // decoded
	"score.yaml.containers.web.readinessProbe.httpGet.port":            true, // the route's name
	"score.yaml.containers.web.readinessProbe.httpGet.scheme":          true, // the default
	"score.yaml.service.ports.http.protocol":                           true, // the default
	"score.yaml.resources.db.type":                                     true, // the friend postgresql
	"score.yaml.resources.data.type":                                   true, // a claim
	"score.yaml.resources.way.type":                                    true, // a route
	"score.yaml.resources.way.params.port":                             true,
	"score.yaml.containers.web.volumes./data.source":                   true,
}
