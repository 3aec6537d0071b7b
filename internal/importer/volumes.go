package importer

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// mounts writes the mounts of a container; name is "" for the main one.
func (w *work) mounts(c *source.Value, name string) *source.Value {
	out := listOf()
	taken := map[string]bool{}
	seen := map[string]bool{}
	for _, m := range c.Get("volumeMounts").ItemsOrNone() {
		volume := w.volume(m.Get("name").Str())
		at := m.Get("mountPath").Str()
		if volume == nil || at == "" {
			w.c.p.report.add(LeftOut, m.Origin, w.d.service, w.d.context, "volumeMounts "+m.Get("name").Str(), "the pod has no such volume, or the mount has no path")
			continue
		}
		if name == "" && w.isUsualTmp(m, volume) {
			continue
		}
		v := mapOf(entry("name", text("")), entry("path", escaped(text(at))))
		if !w.mountSource(v, m, volume, name, seen) {
			continue
		}
		w.nameMount(v, m, name, taken)
		// A mount of kai's has no such fields.
		more := mapOf(entry("name", v.Get("name")), entry("mountPath", text(at)))
		for _, key := range []string{"mountPropagation", "subPathExpr", "recursiveReadOnly"} {
			if x := m.Get(key); x != nil && x.Str() != "None" && x.Str() != "Disabled" {
				more.Set(key, x)
			}
		}
		if len(more.Fields) > 2 {
			w.containerPatch(name, "volumeMounts", more)
		}
		out.Items = append(out.Items, v)
	}
	return out
}

// nameMount gives a mount its name, which no other of its container has: that of
// the volume, unless a mount of that name has other files. Where the main container
// says what the volume is, the others do not.
func (w *work) nameMount(v, m *source.Value, container string, taken map[string]bool) {
	what := mountOf + m.Get("name").Str()
	if v.Has("files") {
		what = flat(v.Get("files")) + v.Get("mode").Str()
	}
	base := cmp.Or(slug(m.Get("name").Str()), "x")
	name := base
	for i := 2; taken[name] || w.mounted[name] != "" && w.mounted[name] != what; i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	if container != "" && w.mounted[name] == what && v.Has("volume") && w.sharesWithMain(m.Get("name").Str()) {
		v.Delete("volume")
	}
	if w.mounted == nil {
		w.mounted = map[string]string{}
	}
	taken[name], w.mounted[name] = true, what
	v.Set("name", text(name))
	if ref := "ConfigMap/" + w.volume(m.Get("name").Str()).At("configMap", "name").Str(); v.Has("files") && (w.c.renamed[ref] == "" || !m.Has("subPath")) {
		w.c.renamed[ref] = w.d.service + "-" + name
	}
}

// mountOf begins what a mount of a volume is, where others are their files.
const mountOf = "volume "

// volumeName gives the name that a volume has in the pod.
func (w *work) volumeName(volume string) string {
	for name, what := range w.mounted {
		if what == mountOf+volume {
			return name
		}
	}
	return slug(volume)
}

// isUsualTmp says whether a mount is what a flavor gives a container by itself,
// whose root file system is read-only.
func (w *work) isUsualTmp(m, volume *source.Value) bool {
	empty := volume.Get("emptyDir")
	if m.Get("name").Str() != "tmp" || m.Get("mountPath").Str() != "/tmp" || len(m.Fields) > 2 || empty == nil || len(empty.Fields) > 0 {
		return false
	}
	if v := w.main.At("securityContext", "readOnlyRootFilesystem"); v != nil && !v.True() {
		return false
	}
	for _, c := range append(w.pod.Get("containers").ItemsOrNone(), w.pod.Get("initContainers").ItemsOrNone()...) {
		for _, other := range c.Get("volumeMounts").ItemsOrNone() {
			if other != m && other.Get("name").Str() == "tmp" {
				return false
			}
		}
	}
	return true
}

// volume finds a volume of the pod, or a claim template of that name.
func (w *work) volume(name string) *source.Value {
	for _, v := range w.pod.Get("volumes").ItemsOrNone() {
		if v.Get("name").Str() == name {
			return v
		}
	}
	for _, v := range w.spec().Get("volumeClaimTemplates").ItemsOrNone() {
		if v.At("metadata", "name").Str() == name {
			return mapOf(entry("name", text(name)), entry("volumeClaimTemplate", v.Get("spec")))
		}
	}
	return nil
}

// mountSource writes what is mounted. Mounts of one name are one volume, so only
// the first of the pod's says what it is. A second mount of a volume in one
// container has no name left, and becomes a patch; false says so.
func (w *work) mountSource(v, m, volume *source.Value, container string, seen map[string]bool) bool {
	sub := m.Get("subPath").Str()
	if from := volume.Get("configMap"); from != nil {
		if o := w.c.find("ConfigMap", from.Get("name").Str()); o != nil && w.files(v, o, from, sub) {
			return true
		}
	}
	if name := m.Get("name").Str(); seen[name] {
		more := m.Shallow()
		more.Set("name", text(w.volumeName(name)))
		w.containerPatch(container, "volumeMounts", more)
		return false
	}
	seen[m.Get("name").Str()] = true
	if from := volume.Get("secret"); from != nil {
		w.storeVolume(from)
	}
	if from := volume.Get("persistentVolumeClaim"); from != nil {
		w.claim(from)
	}
	kind := w.volumeSource(volume)
	v.Set("volume", kind)
	setIn(v, "subPath", escaped(m.Get("subPath")))
	if m.Get("readOnly").True() {
		v.Set("readOnly", source.NewBool(source.Origin{}, true))
	}
	return true
}

// volumeSource gives what a volume is; one that says nothing is an empty folder.
func (w *work) volumeSource(volume *source.Value) *source.Value {
	kind := mapOf(entry("emptyDir", source.NewMap(source.Origin{})))
	for _, f := range volume.Fields {
		if f.Key != "name" {
			kind = mapOf(entry(f.Key, w.asIs(f.Value)))
		}
	}
	return kind
}

// devices has the pod keep the volumes that containers use as devices: a mount of
// kai's is a folder.
func (w *work) devices(c *source.Value) {
	for _, device := range c.Get("volumeDevices").ItemsOrNone() {
		if volume := w.volume(device.Get("name").Str()); volume != nil {
			child(w.d.fields, "volumes").Set(device.Get("name").Str(), w.volumeSource(volume))
		}
	}
}

// containerPatch adds an item to a list of a container's, by a patch.
func (w *work) containerPatch(container, key string, item *source.Value) {
	c := w.patched(container)
	if c.Get(key) == nil {
		c.Set(key, listOf())
	}
	c.Get(key).Items = append(c.Get(key).Items, w.asIs(item))
}

// containerField sets a field of a container, by a patch.
func (w *work) containerField(container, key string, v *source.Value) {
	w.patched(container).Set(key, w.asIs(v))
}

// patched gives a container in the patch of the workload, "" being the main one.
func (w *work) patched(container string) *source.Value {
	list, name := "initContainers", container
	if container == "" {
		list, name = "containers", w.d.service
	}
	pod := w.podPatch()
	if pod.Get(list) == nil {
		pod.Set(list, listOf())
	}
	all := pod.Get(list)
	for _, c := range all.Items {
		if c.Get("name").Str() == name {
			return c
		}
	}
	c := mapOf(entry("name", text(name)))
	all.Items = append(all.Items, c)
	return c
}

// sharesWithMain says whether the main container mounts a volume as well.
func (w *work) sharesWithMain(name string) bool {
	return slices.ContainsFunc(w.main.Get("volumeMounts").ItemsOrNone(), func(m *source.Value) bool { return m.Get("name").Str() == name })
}

// fileKey is what a file of a ConfigMap may be called.
var fileKey = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)

// files writes the ConfigMap's files beside the descriptor and has the mount name
// them. It says whether that is what the source means.
func (w *work) files(v *source.Value, o *object, from *source.Value, sub string) bool {
	data := o.data()
	type item struct{ key, name string }
	var items []item
	for _, f := range o.keys() {
		items = append(items, item{f.Key, f.Key})
	}
	if list := from.Get("items"); list != nil {
		items = nil
		for _, i := range list.Items {
			items = append(items, item{i.Get("key").Str(), i.Get("path").Str()})
			if i.Has("mode") {
				return false
			}
		}
	}
	if sub != "" {
		i := slices.IndexFunc(items, func(i item) bool { return i.name == sub })
		if i < 0 {
			return false
		}
		items = items[i : i+1]
	}
	if len(items) == 0 {
		return false
	}
	unit := w.unit(o.name)
	var names []string
	size := 0
	for _, i := range items {
		content, ok := data[i.key]
		if size += len(content); !ok || !fileKey.MatchString(i.name) || strings.Trim(i.name, ".") == "" || size > 1<<20 {
			return false
		}
	}
	alone := path.Base(v.Get("path").Str())
	if sub != "" && !(alone == items[0].name || path.Ext(alone) != "" && path.Ext(alone) == path.Ext(items[0].name)) {
		return false
	}
	if sub == "" && len(items) == 1 && (alone == items[0].name || path.Ext(alone) != "" && path.Ext(alone) == path.Ext(items[0].name)) {
		return false // a folder that is called like its only file
	}
	for _, i := range items {
		if strings.Contains(string(data[i.key]), "PRIVATE KEY-----") {
			w.c.p.report.add(LeftOut, o.origin(), w.d.service, w.d.context, o.ref(), "it holds a private key, which is not copied: the ConfigMap has to be there")
			return false
		}
	}
	for _, i := range items {
		w.d.file(unit, i.name, data[i.key])
		names = append(names, path.Join(unit, i.name))
	}
	o.used = true
	if len(names) > maxNamed {
		names = []string{path.Join(unit, "*")}
	}
	v.Set("files", texts(names...))
	if mode, ok := from.Get("defaultMode").Int(); ok && mode != 0o644 && mode > 0 && mode <= 0o777 {
		v.Set("mode", text(fmt.Sprintf("0%o", mode)))
	}
	return true
}

// unit gives the folder of a ConfigMap's files: config, unless files of several
// ConfigMaps would meet there.
func (w *work) unit(name string) string {
	var names []string
	seen := map[string]bool{}
	together := true
	for _, v := range w.pod.Get("volumes").ItemsOrNone() {
		m := v.At("configMap", "name").Str()
		o := w.c.find("ConfigMap", m)
		if o == nil || slices.Contains(names, m) {
			continue
		}
		names = append(names, m)
		keys := o.keys()
		together = together && len(keys) <= maxNamed
		for _, f := range keys {
			together = together && !seen[f.Key]
			seen[f.Key] = true
		}
		together = together && !v.At("configMap").Has("items")
	}
	if len(names) <= 1 || together {
		return "config"
	}
	short := slug(w.c.p.plainName(name))
	return path.Join("config", cmp.Or(strings.TrimPrefix(strings.TrimPrefix(short, w.d.service), "-"), "main"))
}

// maxNamed is the most files of a mount that are named one by one.
const maxNamed = 3

// hashed is what kustomize puts behind the names of what it generates.
var hashed = regexp.MustCompile(`-[2456789bcdfghkmt]{10}$`)

// plainName gives a name without kustomize's hash.
func (p *project) plainName(name string) string { return hashed.ReplaceAllString(name, "") }

// claim carries over a claim that the pods mount: an object of its own, which
// stays as it is.
func (w *work) claim(from *source.Value) {
	o := w.c.find("PersistentVolumeClaim", from.Get("claimName").Str())
	if o == nil || o.used {
		return
	}
	o.used = true
	w.manifest(o, nil)
	why := "a manifest of its own, under objects, of the same name: it keeps its data"
	if w.c.published != nil { // it comes from Compose, whose volumes no cluster has
		why = "a manifest of its own, under objects: bring the data over"
	}
	w.c.p.report.add(Carried, o.origin(), w.d.service, w.d.context, o.ref(), "%s", why)
}

// storeVolume names a Secret that has to be there.
func (w *work) storeVolume(from *source.Value) {
	o := w.c.find("Secret", from.Get("secretName").Str())
	if o == nil {
		return
	}
	w.needsSecret(o, "it is mounted as files, and kai makes no Secret of them: make it before the service is installed")
}
