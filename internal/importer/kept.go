package importer

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// references are the ConfigMaps and Secrets that something names, as KIND/NAME.
type references struct {
	names []string
	// known says whether the source has an object. Text that may be a name is one
	// where it is.
	known func(ref string) bool
}

func (r *references) add(kind, name string) {
	if ref := kind + "/" + name; name != "" && !slices.Contains(r.names, ref) {
		r.names = append(r.names, ref)
	}
}

// guess adds what text that may name objects names: NAME, NAMESPACE/NAME, or a
// list of them.
func (r *references) guess(in string) {
	for _, word := range strings.FieldsFunc(in, func(c rune) bool { return strings.ContainsRune(", ;/", c) }) {
		for _, kind := range []string{"ConfigMap", "Secret"} {
			if r.known(kind + "/" + word) {
				r.add(kind, word)
			}
		}
	}
}

var (
	// configRef and secretRef are fields whose map has the name of an object.
	configRef = regexp.MustCompile(`(?i)^configMap(Ref|KeyRef|Selector)?$|ConfigMapRef$`)
	secretRef = regexp.MustCompile(`(?i)^secret(Ref|KeyRef)?$|SecretRef$`)
	// naming are annotations, variables and flags whose text may name one.
	naming     = regexp.MustCompile(`(?i)config|secret|reload|checksum`)
	namingFlag = regexp.MustCompile(`^--?[-A-Za-z0-9]*(?i:config-?map|secret)[-A-Za-z0-9]*=(.+)$`)
	namingEnv  = regexp.MustCompile(`(?i)config_?map|secret_?name`)
)

// walk goes through a value that stands under a key.
func (r *references) walk(key string, v *source.Value) {
	switch {
	case v == nil:
	case v.Kind == source.Map:
		name := v.Get("name").Str()
		switch {
		case configRef.MatchString(key) || v.Get("kind").Str() == "ConfigMap" && !v.Has("metadata"):
			r.add("ConfigMap", name)
		case secretRef.MatchString(key) || v.Get("kind").Str() == "Secret" && !v.Has("metadata"):
			r.add("Secret", name)
		}
		for i, kind := range []string{"ConfigMap", "Secret"} {
			if slices.Contains(v.Get("resources").Strings(), []string{"configmaps", "secrets"}[i]) {
				for _, name := range v.Get("resourceNames").Strings() {
					r.add(kind, name)
				}
			}
		}
		for _, f := range v.Fields {
			switch {
			case f.Key == "secretName":
				r.add("Secret", f.Value.Str())
			case key == "annotations" && naming.MatchString(f.Key), key == "env" && namingEnv.MatchString(f.Key) && f.Value.Kind == source.String:
				r.guess(f.Value.Str())
			}
			r.walk(f.Key, f.Value)
		}
	case v.Kind == source.List:
		for _, item := range v.Items {
			switch {
			case key == "pullSecrets":
				r.add("Secret", item.Str())
			case key == "imagePullSecrets":
				r.add("Secret", item.Get("name").Str())
			}
			if m := namingFlag.FindStringSubmatch(item.Str()); m != nil {
				r.guess(m[1])
			}
			r.walk("", item)
		}
	}
}

// keep has the ConfigMaps stay that something still refers to by name when all
// services are written, and asks for such Secrets.
func (c *cluster) keep() {
	known := func(ref string) bool {
		o := c.index[ref]
		return o != nil && o.group == ""
	}
	before := map[*work]references{}
	for _, w := range c.works {
		if w.friend != nil {
			continue
		}
		all := references{known: known}
		all.walk("", w.pod)
		before[w] = all
		after := references{known: known}
		after.walk("", w.d.fields)
		for _, ref := range after.names {
			c.keepFor(w, ref, w.d.service)
		}
	}
	for _, o := range c.objects {
		if o.is("ConfigMap", "Secret") || slices.ContainsFunc(c.works, func(w *work) bool { return w.object == o }) {
			continue
		}
		all := references{known: known}
		all.walk("", o.v)
		for _, ref := range all.names {
			for _, w := range c.works {
				if slices.Contains(before[w].names, ref) {
					c.keepFor(w, ref, o.ref())
					break
				}
			}
		}
	}
}

// keepFor has one object stay with a service, since somebody names it.
func (c *cluster) keepFor(w *work, ref, by string) {
	o := c.index[ref]
	if o == nil || o.group != "" || o.kept {
		return
	}
	o.kept, o.used = true, true
	switch {
	case o.is("Secret"):
		w.needsSecret(o, "%s names it, and kai makes no Secret of that name: make it before the service is installed", by)
	case o.secretText():
		c.p.report.add(LeftOut, o.origin(), w.d.service, w.d.context, o.ref(), "%s names it, and it holds what looks like a secret, which is not copied: the ConfigMap has to be there", by)
	default:
		if !c.madeAnyway(o) {
			w.manifest(o, nil)
			delete(c.renamed, o.ref())
		}
		c.p.report.add(Carried, o.origin(), w.d.service, w.d.context, o.ref(), "it keeps its name, under objects: %s names it", by)
	}
}

// secretText says whether a ConfigMap holds what looks like a secret.
func (o *object) secretText() bool {
	for _, f := range o.keys() {
		if content := f.Value.Str(); strings.Contains(content, "PRIVATE KEY-----") || userinURL.MatchString(content) || content != "" && secretName.MatchString(f.Key) && !publicName.MatchString(f.Key) {
			return true
		}
	}
	return false
}

// madeAnyway says whether the files of a mount become a ConfigMap of the same name
// that holds all of the object. One that would hold a part of it is called
// otherwise from now on.
func (c *cluster) madeAnyway(o *object) bool {
	for _, w := range c.works {
		if w.friend != nil {
			continue
		}
		mount, ok := strings.CutPrefix(o.name, w.d.service+"-")
		if !ok {
			continue
		}
		for _, fields := range append([]*source.Value{w.d.fields}, append(w.d.fields.Get("initContainers").ItemsOrNone(), w.d.fields.Get("sidecars").ItemsOrNone()...)...) {
			for _, m := range fields.Get("mounts").ItemsOrNone() {
				if m.Get("name").Str() != mount || !m.Has("files") {
					continue
				}
				if c.renamed[o.ref()] == o.name && w.mountsAll(o) {
					return true
				}
				m.Set("name", text(mount+"-files"))
			}
		}
	}
	return false
}

// mountsAll says whether some volume of the pod is all of a ConfigMap, as files.
func (w *work) mountsAll(o *object) bool {
	for _, v := range w.pod.Get("volumes").ItemsOrNone() {
		if from := v.Get("configMap"); from.Get("name").Str() == o.name && !from.Has("items") {
			for _, c := range append(w.pod.Get("containers").ItemsOrNone(), w.pod.Get("initContainers").ItemsOrNone()...) {
				for _, m := range c.Get("volumeMounts").ItemsOrNone() {
					if m.Get("name").Str() == v.Get("name").Str() && !m.Has("subPath") && !m.Has("subPathExpr") {
						return true
					}
				}
			}
		}
	}
	return false
}

// needsSecret says of a Secret of the source that it has to be there, and with
// which command it is made.
func (w *work) needsSecret(o *object, format string, args ...any) {
	o.used, o.kept = true, true
	w.c.p.report.add(Changed, o.origin(), w.d.service, w.d.context, o.ref(), format, args...)
	var parts []string
	for _, f := range o.keys() {
		part := " --from-file=" + f.Key
		if file := w.c.secretFiles[o.name+"/"+f.Key]; file != "" && !shellWord.MatchString(file) {
			part += "='" + strings.ReplaceAll(file, "'", `'\''`) + "'"
		} else if file != "" {
			part += "=" + file
		}
		parts = append(parts, part)
	}
	slices.Sort(parts)
	if kind := cmp.Or(o.v.Get("type").Str(), "Opaque"); kind != "Opaque" {
		parts = append(parts, " --type="+kind)
	}
	where := ""
	if w.c.namespace != "" {
		where = " -n " + w.c.namespace
	}
	w.c.p.report.store(w.c.environment.name, o.ref(), "kubectl create secret generic "+o.name+where+strings.Join(parts, ""), o.origin())
}
