package codegen

import (
	"encoding/base64"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// seen is what a container gets in one context.
type seen struct {
	vars  map[string]value
	files map[string]content
	dirs  map[string]string // names of volumes by path
	ports map[string]int    // by name
}

// value is a variable in a context.
type value struct {
	text     string
	known    bool // else it is only known in the cluster
	secret   bool
	optional bool
	numeric  bool   // a whole number that only the cluster knows
	from     string // in words
}

// content is a file in a context.
type content struct {
	data     []byte
	known    bool
	secret   bool // as a whole; else what has the mark in it is
	optional bool
	from     string
}

// pods of a workload's kind are found here.
var podPaths = map[string][]string{
	"Deployment": {"spec", "template", "spec"}, "StatefulSet": {"spec", "template", "spec"}, "DaemonSet": {"spec", "template", "spec"},
	"Job": {"spec", "template", "spec"}, "CronJob": {"spec", "jobTemplate", "spec", "template", "spec"},
}

// observer reads the objects of a context.
type observer struct {
	in      Context
	configs map[string]map[string][]byte // data of ConfigMaps by name
	secrets map[string]map[string][]byte
	pod     corev1.PodSpec
	mark    string // that stands for a secret
}

// observe gives what a container of the service's pod gets.
func observe(in Context, container, mark string) (*seen, error) {
	o := &observer{in: in, configs: map[string]map[string][]byte{}, secrets: map[string]map[string][]byte{}, mark: mark}
	found := false
	for _, object := range in.Objects {
		if object.Ref.Kind == "ConfigMap" || object.Ref.Kind == "Secret" {
			if err := o.keep(object); err != nil {
				return nil, err
			}
		}
		at, ok := podPaths[object.Ref.Kind]
		if found || !ok || vendored(object) || len(object.Hook) > 0 && slices.Contains(object.Hook, "test") {
			continue
		}
		spec := object.Fields
		for _, key := range at {
			spec, _ = spec[key].(map[string]any)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &o.pod); err != nil {
			return nil, fmt.Errorf("%s: %w", object.Ref, err)
		}
		found = true
	}
	if !found {
		return nil, fmt.Errorf("the context %s makes no pod of the service, so there is nothing that code could read", in.Name)
	}
	c, err := o.container(container)
	if err != nil {
		return nil, err
	}
	return o.read(c), nil
}

// vendored says whether an object belongs to a chart inside of the service's.
func vendored(o manifest.Object) bool {
	parts := strings.SplitN(o.Source, "/", 3)
	return len(parts) > 1 && parts[1] == "charts"
}

// keep takes over what a ConfigMap or a Secret holds.
func (o *observer) keep(object manifest.Object) error {
	data := map[string][]byte{}
	for _, key := range []string{"data", "binaryData", "stringData"} {
		fields, _ := object.Fields[key].(map[string]any)
		for name, v := range fields {
			text, _ := v.(string)
			data[name] = []byte(text)
			if key == "binaryData" || key == "data" && object.Ref.Kind == "Secret" {
				decoded, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					return fmt.Errorf("%s: %s.%s is no base64", object.Ref, key, name)
				}
				data[name] = decoded
			}
		}
	}
	if object.Ref.Kind == "Secret" {
		o.secrets[object.Ref.Name] = data
	} else {
		o.configs[object.Ref.Name] = data
	}
	return nil
}

// container gives the container of a name, "" is the first that is no sidecar.
func (o *observer) container(name string) (corev1.Container, error) {
	var names []string
	for _, c := range append(slices.Clone(o.pod.Containers), o.pod.InitContainers...) {
		if name == "" || c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return corev1.Container{}, fmt.Errorf("in the context %s the pod has no container %q\n  hint: %s", o.in.Name, name, source.Nearest(name, names))
}

func (o *observer) read(c corev1.Container) *seen {
	s := &seen{vars: o.variables(c), files: map[string]content{}, dirs: map[string]string{}, ports: map[string]int{}}
	for _, m := range c.VolumeMounts {
		o.mount(s, m)
	}
	for _, p := range c.Ports {
		if p.Name != "" {
			s.ports[p.Name] = int(p.ContainerPort)
		}
	}
	return s
}

// variables gives the container's environment, with $(NAME) expanded as Kubernetes
// does. What kai itself adds to put texts together, and what kai-run is told, is
// left out: the process has no use for it, or does not get it.
func (o *observer) variables(c corev1.Container) map[string]value {
	vars := map[string]value{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue // which keys a Secret has is not known
		}
		for key, data := range o.configs[from.ConfigMapRef.Name] {
			vars[from.Prefix+key] = value{text: string(data), known: true, from: "the ConfigMap " + from.ConfigMapRef.Name}
		}
	}
	used := map[string]bool{}
	for _, e := range c.Env {
		vars[e.Name] = o.variable(e, vars, used)
	}
	for _, arg := range append(slices.Clone(c.Command), c.Args...) {
		expand(arg, vars, used)
	}
	later := vars["KAI_VARS"].text
	for name, v := range vars {
		if strings.HasPrefix(name, "KAI_") && (later != "" || v.secret && used[name]) || strings.HasPrefix(name, "KAIGARA_") && later != "" {
			delete(vars, name)
		}
	}
	for line := range strings.Lines(later) {
		name, place, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !strings.HasPrefix(name, "KAI_") {
			vars[name] = value{secret: true, from: place + " of the secret store"}
		}
	}
	for name, v := range vars {
		if !v.secret && mentions(v.text, later) {
			v.secret = true // kai-run puts the secret there
		}
		if v.from == "" {
			v.from = o.giver(name)
		}
		vars[name] = v
	}
	return vars
}

// mentions says whether text names one of the variables that kai-run sets.
func mentions(text, later string) bool {
	for line := range strings.Lines(later) {
		name, _, _ := strings.Cut(line, "=")
		if strings.Contains(text, "$("+name+")") {
			return true
		}
	}
	return false
}

func (o *observer) variable(e corev1.EnvVar, vars map[string]value, used map[string]bool) value {
	f := e.ValueFrom
	if f == nil {
		return expand(e.Value, vars, used)
	}
	switch {
	case f.SecretKeyRef != nil:
		v := value{secret: true, optional: f.SecretKeyRef.Optional != nil && *f.SecretKeyRef.Optional}
		v.from = o.place(e.Name, f.SecretKeyRef)
		return v
	case f.ConfigMapKeyRef != nil:
		ref := f.ConfigMapKeyRef
		data, known := o.configs[ref.Name][ref.Key]
		return value{text: string(data), known: known, optional: ref.Optional != nil && *ref.Optional, from: fmt.Sprintf("%s of the ConfigMap %s", ref.Key, ref.Name)}
	case f.FieldRef != nil:
		return value{from: "the pod's " + f.FieldRef.FieldPath}
	case f.ResourceFieldRef != nil:
		return value{numeric: true, from: "the container's " + f.ResourceFieldRef.Resource}
	}
	return value{}
}

// place says where a secret is kept: in the store where the descriptor says so,
// and else in a Secret.
func (o *observer) place(name string, ref *corev1.SecretKeySelector) string {
	if at := o.in.Env.Get(name); at.Get("secret").IsScalar() {
		app, scope := o.in.App, "secret"
		if a := at.Get("app"); a.IsScalar() {
			app = a.Text
		}
		if s := at.Get("scope"); s.IsScalar() {
			scope = s.Text
		}
		return fmt.Sprintf("%s.%s.%s of the secret store", app, scope, at.Get("secret").Text)
	}
	if giver := o.giver(name); giver != "" {
		return giver
	}
	return fmt.Sprintf("%s of the Secret %s", ref.Key, ref.Name)
}

// giver says which friend gives a variable, "" where the service says it itself.
func (o *observer) giver(name string) string {
	given := o.in.Env.Get(name)
	file := given.OriginOrNone().File
	if !slices.Contains(o.in.Friends, file) {
		return ""
	}
	from := strings.TrimSuffix(path.Base(file), ".yaml")
	if said := friendInText.FindStringSubmatch(given.Text); said != nil {
		return "the friend " + said[1]
	}
	var called []string
	for _, asked := range o.in.Asked.ItemsOrNone() {
		if as := asked.Get("name").Str(); as != "" && asked.Get("from").Str() == from {
			called = append(called, as)
		}
	}
	if len(called) == 1 {
		from = called[0]
	}
	return "the friend " + from
}

// friendInText is how text speaks of a friend, by the name that the service gives it.
var friendInText = regexp.MustCompile(`\$\{friends\.([^.}]+)\.`)

// expand puts variables into text as Kubernetes does, and notes which.
func expand(text string, vars map[string]value, used map[string]bool) value {
	out := value{known: true}
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at+1 == len(text) {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		end := strings.IndexByte(text, ')')
		v, ok := value{}, false
		if text[1] == '(' && end > 0 {
			v, ok = vars[text[2:end]]
		}
		switch {
		case ok:
			used[text[2:end]] = true
			out.secret, out.known = out.secret || v.secret, out.known && v.known
			b.WriteString(v.text)
			text = text[end+1:]
		case text[1] == '$':
			b.WriteByte('$')
			text = text[2:]
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
	out.text = b.String()
	return out
}

// hidden are the volumes of kai-run, which the process has no use for.
var hidden = []string{"kai-run", "kai-run-token", "kai-run-account"}

// mount adds the files of a volume, or its folder where the files are not known.
func (o *observer) mount(s *seen, m corev1.VolumeMount) {
	at := path.Clean(m.MountPath)
	i := slices.IndexFunc(o.pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
	if slices.Contains(hidden, m.Name) || at == "/tmp" {
		return
	}
	var files map[string]content
	var complete bool
	if i >= 0 {
		files, complete = o.volume(o.pod.Volumes[i])
	}
	switch {
	case m.SubPath != "":
		f, ok := files[m.SubPath]
		if !ok && path.Ext(at) == "" {
			s.dirs[at] = m.Name // a folder of the volume
			return
		}
		f.from = "the mount " + m.Name
		s.files[at] = f
	case complete:
		for name, f := range files {
			f.from = "the mount " + m.Name
			s.files[path.Join(at, name)] = f
		}
	default:
		for name, f := range files {
			f.from = "the mount " + m.Name
			s.files[path.Join(at, name)] = f
		}
		s.dirs[at] = m.Name
	}
}

// volume gives the files of a volume, and whether they are all.
func (o *observer) volume(v corev1.Volume) (map[string]content, bool) {
	switch {
	case v.ConfigMap != nil:
		return o.keys(o.configs, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional, false)
	case v.Secret != nil:
		return o.keys(o.secrets, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional, true)
	case v.Projected != nil:
		files, complete := map[string]content{}, true
		for _, p := range v.Projected.Sources {
			var more map[string]content
			all := false
			switch {
			case p.ConfigMap != nil:
				more, all = o.keys(o.configs, p.ConfigMap.Name, p.ConfigMap.Items, p.ConfigMap.Optional, false)
			case p.Secret != nil:
				more, all = o.keys(o.secrets, p.Secret.Name, p.Secret.Items, p.Secret.Optional, true)
			}
			maps.Copy(files, more)
			complete = complete && all
		}
		return files, complete
	}
	return nil, false
}

// keys gives the keys of a ConfigMap or a Secret as files.
func (o *observer) keys(all map[string]map[string][]byte, name string, items []corev1.KeyToPath, optional *bool, secret bool) (map[string]content, bool) {
	data, known := all[name]
	for _, text := range data {
		if secret && o.mark != "" && strings.Contains(string(text), o.mark) {
			secret = false // the chart's own: it says what of it is secret
		}
	}
	files := map[string]content{}
	add := func(key, path string) {
		text, ok := data[key]
		files[path] = content{data: text, known: ok, secret: secret, optional: optional != nil && *optional}
	}
	for _, item := range items {
		add(item.Key, item.Path)
	}
	if len(items) > 0 {
		return files, true
	}
	for key := range data {
		add(key, key)
	}
	return files, known
}
