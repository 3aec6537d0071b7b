package render

import (
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/generator"
)

// loadChart has Helm read a chart.
func loadChart(files []generator.File) (*chart.Chart, error) {
	buffered := make([]*loader.BufferedFile, len(files))
	for i, f := range files {
		buffered[i] = &loader.BufferedFile{Name: f.Path, Data: f.Data}
	}
	return loader.LoadFiles(buffered)
}

// readChart reads a chart as Helm does, but for what is rare in a chart, or wrong:
// there it gives up, and Helm has to read it, or to say what is wrong.
func readChart(files []generator.File) (*chart.Chart, bool) {
	c := &chart.Chart{Raw: make([]*chart.File, 0, len(files))}
	subcharts := map[string][]generator.File{}
	var names []string
	for _, f := range files {
		file := &chart.File{Name: f.Path, Data: f.Data}
		c.Raw = append(c.Raw, file)
		ok := true
		switch {
		case f.Path == "Chart.yaml":
			c.Metadata, ok = readMetadata(string(f.Data))
		case f.Path == "Chart.lock":
			c.Lock, ok = readLock(string(f.Data))
		case f.Path == "values.yaml":
			c.Values, ok = readValues(f.Data)
		case f.Path == "values.schema.json":
			c.Schema = f.Data
		case f.Path == "requirements.yaml" || f.Path == "requirements.lock":
			ok = false
		case strings.HasPrefix(f.Path, "templates/"):
			c.Templates = append(c.Templates, file)
		case strings.HasPrefix(f.Path, "charts/"):
			name, path, inside := strings.Cut(strings.TrimPrefix(f.Path, "charts/"), "/")
			// What ends so belongs to the chart itself.
			ok = inside && !strings.HasSuffix(path, ".prov")
			if ok = ok && name != "" && !strings.ContainsAny(name, "_."); ok {
				if subcharts[name] == nil {
					names = append(names, name)
				}
				subcharts[name] = append(subcharts[name], generator.File{Path: path, Data: f.Data})
			}
		default:
			c.Files = append(c.Files, file)
		}
		if !ok {
			return nil, false
		}
	}
	if c.Metadata == nil || c.Validate() != nil {
		return nil, false
	}
	for _, name := range names {
		sub, ok := readChart(subcharts[name])
		if !ok {
			return nil, false
		}
		c.AddDependency(sub)
	}
	return c, true
}

func readValues(data []byte) (map[string]any, bool) {
	if values, ok := readMap(string(data)); ok {
		return values, true
	}
	values := map[string]any{}
	return values, yaml.Unmarshal(data, &values) == nil
}

// readMetadata reads Chart.yaml, if it has what most of them have.
func readMetadata(text string) (*chart.Metadata, bool) {
	fields, ok := readMap(text)
	if !ok {
		return nil, false
	}
	md := &chart.Metadata{}
	places := map[string]*string{
		"name": &md.Name, "home": &md.Home, "version": &md.Version, "description": &md.Description, "icon": &md.Icon,
		"apiVersion": &md.APIVersion, "appVersion": &md.AppVersion, "kubeVersion": &md.KubeVersion, "type": &md.Type,
	}
	for key, v := range fields {
		switch key {
		case "keywords":
			md.Keywords, ok = texts(v)
		case "annotations":
			md.Annotations, ok = textMap(v)
		case "dependencies":
			md.Dependencies, ok = dependencies(v)
		default:
			ok = setText(places[key], v)
		}
		if !ok {
			return nil, false
		}
	}
	return md, md.APIVersion != ""
}

// readLock reads Chart.lock.
func readLock(text string) (*chart.Lock, bool) {
	fields, ok := readMap(text)
	if !ok {
		return nil, false
	}
	lock := &chart.Lock{}
	for key, v := range fields {
		switch key {
		case "dependencies":
			lock.Dependencies, ok = dependencies(v)
		case "digest":
			ok = setText(&lock.Digest, v)
		case "generated":
			var at string
			if ok = setText(&at, v); ok {
				ok = lock.Generated.UnmarshalText([]byte(at)) == nil
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	return lock, true
}

func dependencies(v any) ([]*chart.Dependency, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]*chart.Dependency, len(list))
	for i, item := range list {
		d := &chart.Dependency{}
		places := map[string]*string{"name": &d.Name, "version": &d.Version, "repository": &d.Repository}
		fields, ok := item.(map[string]any)
		for key, v := range fields {
			ok = ok && setText(places[key], v)
		}
		if !ok {
			return nil, false
		}
		out[i] = d
	}
	return out, true
}

func setText(at *string, v any) bool {
	s, ok := v.(string)
	if ok && at != nil {
		*at = s
	}
	return ok && at != nil
}

func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i, item := range list {
		if !setText(&out[i], item) {
			return nil, false
		}
	}
	return out, true
}

func textMap(v any) (map[string]string, bool) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	out := make(map[string]string, len(fields))
	for key, v := range fields {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		out[key] = s
	}
	return out, true
}
