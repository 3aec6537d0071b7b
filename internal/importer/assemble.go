package importer

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// The files of a workspace that an import makes.
const (
	servicesDir = "services"
	friendsDir  = "friends"
)

// files writes the workspace: kai-workspace.yaml, a descriptor for each service
// with what lies beside it, and the friends.
func (p *project) files() []File {
	defaults := flavorDefaults()
	byService := map[string][]*draft{}
	var names []string
	for _, d := range p.drafts {
		if byService[d.service] == nil {
			names = append(names, d.service)
		}
		byService[d.service] = append(byService[d.service], d)
	}
	slices.Sort(names)
	p.liftLabels()
	var out []File
	for _, name := range names {
		drafts := byService[name]
		dir := path.Join(servicesDir, name)
		settleUnits(drafts)
		for _, d := range drafts {
			if v := without(d.fields, defaults[d.flavor], false); v != nil {
				d.fields = v
			} else {
				d.fields = source.NewMap(source.Origin{})
			}
			for unit, files := range d.units {
				for file, data := range files {
					f := File{Path: path.Join(dir, unit, file), Data: data}
					if !slices.ContainsFunc(out, func(o File) bool { return o.Path == f.Path }) {
						out = append(out, f)
					}
				}
			}
		}
		out = append(out, File{Path: path.Join(dir, "kai.yaml"), Data: descriptorText(name, drafts)})
	}
	for _, f := range p.friends {
		out = append(out, File{Path: path.Join(friendsDir, f.name+".yaml"), Data: friendText(f)})
	}
	if len(p.drafts) > 0 {
		out = append(out, File{Path: workspace.FileName, Data: p.workspaceText(names, byService)})
	}
	return out
}

// liftLabels gives the workspace's contexts the labels that all pods, or all
// workloads, of an environment have, and that are others in every other one.
func (p *project) liftLabels() {
	if len(p.contexts) < 2 {
		return
	}
	for _, path := range [][]string{{"labels"}, {"workload", "labels"}} {
		shared := map[*environment]*source.Value{}
		for _, e := range p.contexts {
			shared[e] = p.sharedLabels(e, path)
		}
		for _, e := range p.contexts {
			for _, f := range shared[e].Fields {
				differs := true
				for other, labels := range shared {
					differs = differs && (other == e || labels.Has(f.Key) && !source.Equal(labels.Get(f.Key), f.Value))
				}
				if differs {
					p.lift(e, path, f)
				}
			}
		}
	}
}

// sharedLabels gives the labels that all services of an environment have.
func (p *project) sharedLabels(e *environment, path []string) *source.Value {
	var out *source.Value
	for _, d := range p.drafts {
		if d.context != e.name {
			continue
		}
		labels := d.fields.At(path...)
		if out == nil {
			out = mapOf(labels.FieldsOrNone()...)
			continue
		}
		for _, f := range out.Shallow().Fields {
			if !source.Equal(labels.Get(f.Key), f.Value) {
				out.Delete(f.Key)
			}
		}
	}
	if out == nil {
		return mapOf()
	}
	return out
}

// lift moves a label from the services of an environment to the environment.
func (p *project) lift(e *environment, path []string, label source.Field) {
	if e.settings == nil {
		e.settings = source.NewMap(source.Origin{})
	}
	child(e.settings, append([]string{"values"}, path...)...).Set(label.Key, label.Value)
	for _, d := range p.drafts {
		if d.context != e.name {
			continue
		}
		d.fields.At(path...).Delete(label.Key)
		for n := len(path); n > 0; n-- { // what is empty now goes as well
			if v := d.fields.At(path[:n]...); len(v.FieldsOrNone()) > 0 {
				break
			}
			parent := d.fields
			if n > 1 {
				parent = d.fields.At(path[:n-1]...)
			}
			parent.Delete(path[n-1])
		}
	}
}

// flavorDefaults gives what the library's flavors say by themselves. What the
// file of Kubernetes' words leaves out and the flavor does as well is no default
// of a field.
func flavorDefaults() map[string]*source.Value {
	out := map[string]*source.Value{}
	library, err := workspace.Library()
	if err != nil {
		return out
	}
	for _, name := range []string{"webservice", "worker", "stateful", "job", "cronjob"} {
		if f, findings := library.Flavor(text(name)); f != nil && findings.Err() == nil {
			out[name] = f.Defaults
		}
	}
	return out
}

// settleUnits gives files that are not the same in every environment a folder of
// the environment's, and the mounts that name them follow.
func settleUnits(drafts []*draft) {
	for unit := range unitsOf(drafts) {
		var first map[string][]byte
		same := true
		for _, d := range drafts {
			files := d.units[unit]
			if files == nil {
				continue
			}
			if first == nil {
				first = files
			}
			same = same && sameFiles(first, files)
		}
		if same {
			continue
		}
		for _, d := range drafts {
			files := d.units[unit]
			if files == nil {
				continue
			}
			moved := path.Join(unit, d.context)
			delete(d.units, unit)
			d.units[moved] = files
			d.fields = renamed(d.fields, unit, moved)
		}
	}
}

func unitsOf(drafts []*draft) map[string]bool {
	out := map[string]bool{}
	for _, d := range drafts {
		for unit := range d.units {
			out[unit] = true
		}
	}
	return out
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		other, ok := b[name]
		if !ok || string(other) != string(data) {
			return false
		}
	}
	return true
}

// renamed moves the paths of a folder in lists of files.
func renamed(v *source.Value, from, to string) *source.Value {
	switch v.Kind {
	case source.Map:
		out := v.Shallow()
		for i, f := range out.Fields {
			if (f.Key == "files" || f.Key == "objects") && f.Value.Kind == source.List {
				list := f.Value.Shallow()
				for j, item := range list.Items {
					if dir := path.Dir(item.Str()); item.Kind == source.String && dir == from {
						list.Items[j] = text(path.Join(to, path.Base(item.Text)))
					}
				}
				out.Fields[i].Value = list
				continue
			}
			out.Fields[i].Value = renamed(f.Value, from, to)
		}
		return out
	case source.List:
		out := v.Shallow()
		for i, item := range out.Items {
			out.Items[i] = renamed(item, from, to)
		}
		return out
	}
	return v
}

// instances are the named pieces of a descriptor, by their plural.
type instances struct {
	kinds []string
	of    map[string]*source.Value
}

func newInstances() *instances {
	return &instances{kinds: []string{"images", "commands", "probes", "routes", "mounts", "containers"}, of: map[string]*source.Value{}}
}

// named are the fields that are lists of things with names, by the plural of
// their type; ordered are those among them whose order says something.
var (
	named   = map[string]string{"routes": "routes", "mounts": "mounts", "initContainers": "containers", "sidecars": "containers"}
	ordered = map[string]bool{"initContainers": true, "sidecars": true}
)

// complete says whether an instance says what it has to.
func complete(kind string, v *source.Value) bool {
	if v == nil || v.Kind != source.Map {
		return false
	}
	switch kind {
	case "images":
		return v.Has("repository")
	case "mounts":
		return v.Has("path")
	case "containers":
		return v.Has("image")
	case "routes":
		return v.Has("port") || v.Has("containerPort")
	case "probes":
		return handler(v) != ""
	}
	return len(v.Fields) > 0
}

func handler(v *source.Value) string {
	for _, h := range []string{"httpGet", "tcpSocket", "grpc", "exec"} {
		if v.Has(h) {
			return h
		}
	}
	return ""
}

// put adds an instance under a name that is free.
func (in *instances) put(kind, name string, v *source.Value) string {
	list := in.of[kind]
	if list == nil {
		list = listOf()
		in.of[kind] = list
	}
	taken := map[string]bool{}
	for _, item := range list.Items {
		taken[item.Get("name").Str()] = true
	}
	name = unique(name, taken)
	out := mapOf(entry("name", text(name)))
	for _, f := range v.Fields {
		if f.Key != "name" {
			out.Set(f.Key, f.Value)
		}
	}
	list.Items = append(list.Items, out)
	return name
}

// hoist takes the instances out of the drafts' fields, so that each names them.
func hoist(drafts []*draft) *instances {
	in := newInstances()
	in.images(drafts)
	in.commands(drafts)
	in.probes(drafts)
	for _, key := range []string{"routes", "mounts"} {
		in.list(drafts, key)
	}
	for _, d := range drafts {
		for _, c := range append(d.fields.Get("initContainers").ItemsOrNone(), d.fields.Get("sidecars").ItemsOrNone()...) {
			in.mountsOf(c)
		}
	}
	for _, key := range []string{"initContainers", "sidecars"} {
		in.list(drafts, key)
	}
	return in
}

// mountsOf has a container name the mounts that are instances already.
func (in *instances) mountsOf(c *source.Value) {
	list := c.Get("mounts")
	for i, m := range list.ItemsOrNone() {
		for _, known := range in.of["mounts"].ItemsOrNone() {
			if m.Kind == source.Map && source.Equal(m, known) {
				list.Items[i] = text(known.Get("name").Str())
			}
		}
	}
}

// overlay writes what v says over an instance: the name alone where it is the
// same.
func overlay(name string, instance, v *source.Value) *source.Value {
	more := beyond("", instance, v)
	if more == nil {
		return text(name)
	}
	out := mapOf(entry("from", text(name)))
	for _, f := range more.Fields {
		if f.Key != "name" {
			out.Set(f.Key, f.Value)
		}
	}
	if len(out.Fields) == 1 {
		return text(name)
	}
	return out
}

// commands hoists what the main containers run. Where environments have little in
// common, each command is an instance of its own.
func (in *instances) commands(drafts []*draft) {
	var those, groups []*source.Value
	for _, d := range drafts {
		if v := d.fields.Get("command"); v != nil && v.Kind == source.Map {
			those = append(those, v)
			if !slices.ContainsFunc(groups, func(g *source.Value) bool { return source.Equal(g, v) }) {
				groups = append(groups, v)
			}
		}
	}
	if len(those) == 0 {
		return
	}
	if shared := common("", those); shared != nil && (shared.Has("command") || shared.Has("fileName")) {
		groups = []*source.Value{shared}
	}
	for _, g := range groups {
		name := in.put("commands", commandName(g), g)
		for _, d := range drafts {
			v := d.fields.Get("command")
			if v != nil && v.Kind == source.Map && !v.Has("from") && (len(groups) == 1 || source.Equal(g, v)) {
				d.fields.Set("command", overlay(name, g, v))
			}
		}
	}
}

// images hoists the images. One that another container shares with the main one is
// the same instance.
func (in *instances) images(drafts []*draft) {
	type place struct {
		d         *draft
		container *source.Value
	}
	byName := map[string][]place{}
	var names []string
	for _, d := range drafts {
		for _, key := range []string{"initContainers", "sidecars"} {
			list := d.fields.Get(key)
			if list == nil {
				continue
			}
			for _, c := range list.Items {
				if !c.Has("image") {
					continue // the report asks for it
				}
				name := c.Get("name").Str()
				if source.Equal(c.Get("image"), d.fields.Get("image")) {
					name = ""
				}
				if byName[name] == nil {
					names = append(names, name)
				}
				byName[name] = append(byName[name], place{d, c})
			}
		}
	}
	// The main image comes first, so that it has its name.
	main := mainImage(drafts)
	if main != nil {
		release := in.put("images", cmp.Or(slug(main.Get("name").Str()), "release"), main)
		for _, d := range drafts {
			if v := d.fields.Get("image"); v != nil && v.Kind == source.Map {
				for _, c := range byName[""] {
					if c.d == d {
						c.container.Set("image", overlay(release, main, v))
					}
				}
				d.fields.Set("image", overlay(release, main, v))
			}
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		var those []*source.Value
		for _, c := range byName[name] {
			those = append(those, c.container.Get("image"))
		}
		shared := common("", those)
		if !complete("images", shared) {
			continue
		}
		called := in.put("images", slug(name), shared)
		for _, c := range byName[name] {
			c.container.Set("image", overlay(called, shared, c.container.Get("image")))
		}
	}
}

func mainImage(drafts []*draft) *source.Value {
	var those []*source.Value
	for _, d := range drafts {
		if v := d.fields.Get("image"); v != nil && v.Kind == source.Map {
			those = append(those, v)
		}
	}
	if len(those) == 0 {
		return nil
	}
	if shared := common("", those); complete("images", shared) {
		return shared
	}
	return nil
}

// commandName names a command by its program, unless the source has a name.
func commandName(v *source.Value) string {
	if name := slug(v.Get("name").Str()); name != "" {
		return name
	}
	if script := v.Get("fileName").Str(); script != "" {
		return cmp.Or(slug(strings.TrimSuffix(path.Base(script), path.Ext(script))), "main")
	}
	words := v.Get("command").Strings()
	if len(words) == 0 {
		return "main"
	}
	name := slug(path.Base(words[0]))
	if slices.Contains([]string{"", "sh", "bash", "ash", "env", "java", "node", "python", "python3"}, name) {
		return "main"
	}
	return name
}

var probeKinds = []string{"startup", "liveness", "readiness"}

// probes hoists probes: those that try the same are one instance, and how often
// they do may differ.
func (in *instances) probes(drafts []*draft) {
	type place struct {
		probes *source.Value
		kind   string
	}
	var groups []*source.Value // handlers
	places := map[int][]place{}
	for _, d := range drafts {
		all := d.fields.Get("probes")
		for _, kind := range probeKinds {
			v := all.Get(kind)
			if v == nil || v.Kind != source.Map || handler(v) == "" {
				continue
			}
			h := mapOf(entry(handler(v), v.Get(handler(v))))
			i := slices.IndexFunc(groups, func(g *source.Value) bool { return source.Equal(g, h) })
			if i < 0 {
				i = len(groups)
				groups = append(groups, h)
			}
			places[i] = append(places[i], place{all, kind})
		}
	}
	for i, h := range groups {
		var those []*source.Value
		for _, at := range places[i] {
			those = append(those, at.probes.Get(at.kind))
		}
		shared := common("", those)
		if !complete("probes", shared) {
			continue
		}
		name := in.put("probes", cmp.Or(slug(shared.Get("name").Str()), probeName(h, places[i][0].kind)), shared)
		for _, at := range places[i] {
			at.probes.Set(at.kind, overlay(name, shared, at.probes.Get(at.kind)))
		}
	}
}

// probeName names a probe by what it asks for.
func probeName(h *source.Value, kind string) string {
	switch {
	case h.Has("httpGet"):
		p, _, _ := strings.Cut(h.At("httpGet", "path").Str(), "?")
		return cmp.Or(slug(path.Base(path.Clean("/"+p))), "home")
	case h.Has("tcpSocket"):
		return "tcp"
	case h.Has("grpc"):
		return "grpc"
	}
	return map[string]string{"startup": "started", "liveness": "alive", "readiness": "ready"}[kind]
}

// list hoists a field that takes several instances.
func (in *instances) list(drafts []*draft, key string) {
	kind := named[key]
	byName := map[string][]*source.Value{}
	var names []string
	for _, d := range drafts {
		for _, item := range d.fields.Get(key).ItemsOrNone() {
			name := item.Get("name").Str()
			if byName[name] == nil {
				names = append(names, name)
			}
			byName[name] = append(byName[name], item)
		}
	}
	for _, name := range names {
		shared := common("", byName[name])
		if !complete(kind, shared) {
			continue
		}
		called := in.put(kind, name, shared)
		for _, d := range drafts {
			list := d.fields.Get(key)
			for i, item := range list.ItemsOrNone() {
				if item.Kind == source.Map && item.Get("name").Str() == name {
					list.Items[i] = overlay(called, shared, item)
				}
			}
		}
	}
}

// fieldOrder is how the fields of a context are written.
var fieldOrder = []string{
	"flavor", "schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "suspend", "job", "perNode",
	"image", "command", "args", "probes", "routes", "expose", "initContainers", "sidecars", "mounts", "volumes", "friends", "egress", "networkPolicy", "env",
	"replicas", "scaling", "disruption", "updates", "resources", "lifecycle", "gracePeriod", "security", "serviceAccount",
	"labels", "annotations", "workload", "service", "scheduling", "objects", "patches",
}

// contexts gives the contexts of a descriptor: base, and what the environments
// say beyond it.
func contexts(drafts []*draft) (base *source.Value, more []source.Field) {
	for _, d := range drafts {
		d.fields.Set("flavor", text(d.flavor))
	}
	base = source.NewMap(source.Origin{})
	for _, key := range keysOf(drafts) {
		var those []*source.Value
		for _, d := range drafts {
			if v := d.fields.Get(key); v != nil {
				those = append(those, v)
			}
		}
		if len(those) < len(drafts) {
			continue
		}
		switch {
		case (named[key] != "" && !ordered[key]) || key == "friends":
			setIn(base, key, commonItems(those))
		default:
			setIn(base, key, commonInstance(key, those))
		}
	}
	for _, d := range drafts {
		own := source.NewMap(source.Origin{})
		for _, key := range keysOf(drafts) {
			v := d.fields.Get(key)
			if v == nil {
				continue
			}
			if (named[key] != "" && !ordered[key]) || key == "friends" {
				addItems(own, key, base.Get(key), v)
				continue
			}
			setIn(own, key, beyondInstance(key, base.Get(key), v))
		}
		if len(own.Fields) > 0 {
			more = append(more, entry(d.context, own))
		}
	}
	// What every environment says anew need not stand below them.
	for _, key := range base.Keys() {
		if len(more) == len(drafts) && !slices.ContainsFunc(more, func(f source.Field) bool { return f.Value.Get(key) == nil }) && (named[key] != "" || key == "friends") {
			base.Delete(key)
		}
	}
	return base, more
}

// commonInstance is common where a value may name an instance: those that name
// the same one have it in common, whatever they change.
func commonInstance(key string, those []*source.Value) *source.Value {
	if key == "probes" {
		out := source.NewMap(source.Origin{})
		for _, kind := range probeKinds {
			var probes []*source.Value
			for _, v := range those {
				if x := v.Get(kind); x != nil {
					probes = append(probes, x)
				}
			}
			if len(probes) == len(those) {
				setIn(out, kind, commonInstance("probe", probes))
			}
		}
		return out
	}
	if key == "image" || key == "command" || key == "probe" {
		name := instanceName(those[0])
		for _, v := range those {
			if instanceName(v) != name {
				name = ""
			}
		}
		shared := common(key, those)
		if shared == nil && name != "" {
			return text(name)
		}
		if shared != nil && shared.Kind == source.Map && len(shared.Fields) == 1 && shared.Has("from") {
			return text(name)
		}
		return shared
	}
	return common(key, those)
}

func instanceName(v *source.Value) string {
	if v.Kind == source.String {
		return v.Text
	}
	return v.Get("from").Str()
}

// beyondInstance is beyond for the same values: over an instance's name stands
// what changes it.
func beyondInstance(key string, base, v *source.Value) *source.Value {
	if key == "probes" {
		out := source.NewMap(source.Origin{})
		for _, f := range v.Fields {
			setIn(out, f.Key, beyondInstance("probe", base.Get(f.Key), f.Value))
		}
		return out
	}
	if key == "image" || key == "command" || key == "probe" {
		if source.Equal(base, v) {
			return nil
		}
		if base != nil && v.Kind == source.Map && v.Has("from") && instanceName(base) == instanceName(v) {
			out := v.Shallow()
			out.Delete("from")
			return out
		}
	}
	return beyond(key, base, v)
}

func keysOf(drafts []*draft) []string {
	var keys []string
	for _, d := range drafts {
		for _, key := range d.fields.Keys() {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	rank := func(key string) int {
		if i := slices.Index(fieldOrder, key); i >= 0 {
			return i
		}
		return len(fieldOrder)
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return keys
}

// itemName is how an item of a list is known.
func itemName(v *source.Value) string {
	if v.Kind == source.String {
		return v.Text
	}
	for _, key := range []string{"name", "from", "service"} {
		if s := v.Get(key).Str(); s != "" {
			return s
		}
	}
	return ""
}

// commonItems gives the items that all lists have, in the form in which all or
// none changes them.
func commonItems(lists []*source.Value) *source.Value {
	out := listOf()
	for _, item := range lists[0].Items {
		name := itemName(item)
		every, same := true, true
		for _, list := range lists {
			i := slices.IndexFunc(list.Items, func(v *source.Value) bool { return itemName(v) == name })
			every = every && i >= 0
			same = same && i >= 0 && source.Equal(list.Items[i], item)
		}
		switch {
		case every && same:
			out.Items = append(out.Items, item)
		case every && (item.Kind == source.String || item.Has("from") && !item.Has("name")):
			out.Items = append(out.Items, text(name))
		}
	}
	return out
}

// addItems writes what a list says beyond the base's.
func addItems(own *source.Value, key string, base, v *source.Value) {
	if source.Equal(base, v) {
		return
	}
	var more []*source.Value
	for _, item := range v.Items {
		i := slices.IndexFunc(base.ItemsOrNone(), func(b *source.Value) bool { return itemName(b) == itemName(item) })
		if i < 0 || !source.Equal(base.Items[i], item) {
			more = append(more, item)
		}
	}
	switch {
	case base == nil || len(more) == len(v.Items):
		own.Set(key, v)
	case len(more) > 0:
		own.Set(key+"+", listOf(more...))
	}
}
