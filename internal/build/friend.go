package build

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// friend is what one use of a friend means for its consumer.
type friend struct {
	outputs  *descriptor.Outputs
	env      *source.Value
	mounts   *source.Value
	peer     generator.Friend
	subchart *generator.Subchart
	needs    string // release that is installed before the consumer's
	app      string // that its credentials belong to
	shared   bool   // installed once for all, in namespace
	release  string
	where    string
	made     part        // what subchart is made of
	common   *dependency // the use of it that is shared
	files    []string
}

// friend resolves one entry of a service's friends.
func (r *run) friend(s *service, use descriptor.FriendUse) (*friend, source.Findings) {
	if use.Service != "" {
		return r.serviceFriend(s, use)
	}
	return r.libraryFriend(s, use)
}

// serviceFriend makes a friend of another service of the workspace.
func (r *run) serviceFriend(s *service, use descriptor.FriendUse) (*friend, source.Findings) {
	var findings source.Findings
	where := "friends." + use.Name
	other := r.services[use.Service]
	if other == nil && r.w.Incomplete {
		return nil, nil
	}
	if other == nil {
		findings.Add("unknown-service", use.Origin, where, source.Nearest(use.Service, r.w.ServiceNames()), "there is no service %q", use.Service)
		return nil, findings
	}
	r.fold(other)
	if other.outputs == nil {
		if !r.target.Selects(other.Name) {
			return nil, other.findings
		}
		// What is wrong with it is said when its own chart is made.
		return nil, nil
	}
	outputs := *other.outputs
	outputs.Credentials = consumed(outputs.Credentials, use.Name)
	if outputs.Partly && !r.makes(other.Name) {
		for _, wrong := range other.findings {
			if aboutRoutes(wrong) {
				findings = append(findings, wrong)
			}
		}
	}
	f := &friend{outputs: &outputs}
	f.env = r.given(use, other.Offers.Get("env"), "offers.env", descriptor.Names{"service": other.outputs, "self": &outputs}, &findings)
	f.peer = generator.Friend{
		Name: use.Name, Object: other.app(), PodLabels: map[string]string{"app.kubernetes.io/name": other.app()}, Ports: ports(&outputs),
		Secret: generator.ObjectName(other.app(), "credentials"), Keys: secretKeys(other.Offers.Get("credentials")),
	}
	f.app = other.Name
	if use.Needs && r.target.Selects(other.Name) {
		f.needs = other.app()
	}
	return f, findings
}

// consumed gives the credentials as their consumer knows them.
func consumed(credentials map[string]descriptor.Credential, friend string) map[string]descriptor.Credential {
	out := map[string]descriptor.Credential{}
	for key, c := range credentials {
		out[key] = descriptor.Credential{Friend: friend, Key: c.Key}
	}
	return out
}

func ports(o *descriptor.Outputs) []generator.Port {
	var out []generator.Port
	for _, p := range o.Routes {
		port := generator.Port{Number: p.ContainerPort, Protocol: p.Protocol}
		if p.ContainerPort != 0 && !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	return out
}

// given rewrites a friend's env for a consumer: what the friend calls its own
// the consumer calls the friend's. The consumer's names replace the friend's.
func (r *run) given(use descriptor.FriendUse, env *source.Value, path string, names descriptor.Names, findings *source.Findings) *source.Value {
	if own := use.Changes.Get("env"); own != nil {
		env, path = own, "friends."+use.Name+".env"
	}
	if env.IsNull() {
		return nil
	}
	if env.Kind != source.Map {
		findings.Add("wrong-type", env.Origin, path, "write NAME: text", "expected a map, got %s", env.Kind)
		return nil
	}
	out := source.NewMap(env.Origin)
	for _, f := range env.Fields {
		here := path + "." + f.Key
		v := r.target.Vars.Apply(f.Value, here, findings)
		if v == nil || v.Kind != source.String {
			out.Set(f.Key, v)
			continue
		}
		parts, got := names.Parts(v, here, findings)
		if parts != nil {
			var b strings.Builder
			for _, p := range parts {
				if p.Credential != nil {
					fmt.Fprintf(&b, "${friends.%s.credentials.%s}", use.Name, p.Credential.Key)
				} else {
					b.WriteString(strings.ReplaceAll(p.Text, "${", "$${"))
				}
			}
			out.Set(f.Key, source.NewString(v.Origin, b.String()))
			continue
		}
		text := *got
		text.Text = strings.ReplaceAll(got.Text, "${", "$${")
		text.Origin.Because = "the friend " + use.Name
		out.Set(f.Key, &text)
	}
	return out
}

// definition is a library friend with all changes laid over it.
type definition struct {
	file   *descriptor.Friend // that its chart's files are relative to
	mounts *descriptor.Friend // that its mounts are of; nil is the consumer
	fields *source.Value
	values []*source.Value // the layers of fields' values, lowest first
	files  []string        // of the friends that it is made from
}

// lay puts a layer over the definition.
func (d *definition) lay(layer *source.Value) {
	d.fields = descriptor.MergeFriend(d.fields, layer)
	switch v := layer.Get("values"); {
	case v == nil:
	case v.IsNull():
		d.values = nil
	default:
		d.values = append(d.values, v)
	}
}

// define finds a friend and what it is made from, and lays the changes of this
// context and of the consumer over it.
func (r *run) define(use descriptor.FriendUse, lineage []string) (*definition, source.Findings) {
	d := &definition{fields: source.NewMap(use.Origin)}
	if use.From == "" {
		d.file = &descriptor.Friend{Name: use.Name, File: use.Origin.File, FS: r.w.FS}
		d.lay(use.Changes)
		return d, nil
	}
	name := source.NewString(use.Origin, use.From)
	if from := use.Changes.Get("from"); from.IsScalar() {
		name = from
	}
	var chain []*descriptor.Friend
	for library := false; name != nil; {
		f, findings := r.w.Friend(name, library)
		if findings.Err() != nil {
			if r.services[name.Str()] != nil {
				findings[0].Hint = fmt.Sprintf("%s is a service of the workspace: write {service: %s}", name.Str(), name.Str())
			}
			return nil, findings
		}
		if slices.Contains(chain, f) {
			findings.Add("cycle", name.Origin, "from", "name another friend", "the friend %q is made from itself", f.Name)
			return nil, findings
		}
		chain = append(chain, f)
		d.files = append(d.files, f.Origin().File)
		from := f.From()
		// A friend that is made from one of its own name means the library's.
		library = from.Str() == f.Name
		name = nil
		if from.IsScalar() {
			name = from
		}
	}
	var findings source.Findings
	for i := len(chain) - 1; i >= 0; i-- {
		layers, more := chain[i].Layers(r.target.Uses, lineage)
		findings = append(findings, more...)
		for _, layer := range layers {
			d.lay(layer)
			if layer.Has("chart") || d.file == nil {
				d.file = chain[i]
			}
			if layer.Has("mounts") {
				d.mounts = chain[i]
			}
		}
	}
	if use.Changes.Has("mounts") {
		d.mounts = nil
	}
	d.lay(use.Changes)
	if d.fields.Get("chart").Has("flavor") {
		d.move(r.w)
	}
	return d, findings
}

// move makes the paths in all layers of the values relative to one folder, from
// where its chart's files are read. The library brings no files, so what is made
// of it reads the workspace's.
func (d *definition) move(w *workspace.Workspace) {
	to := path.Dir(d.file.File)
	if w.IsLibrary(d.file) {
		of := *d.file
		of.FS = w.FS
		d.file = &of
	}
	for i, layer := range d.values {
		d.values[i] = moved(layer, to)
	}
	if values := d.fields.Get("values"); values != nil {
		d.fields.Set("values", moved(values, to))
	}
}

// moved gives fields of a context whose paths, each relative to the file that it
// stands in, are relative to a folder.
func moved(v *source.Value, to string) *source.Value {
	if v == nil || v.Kind != source.Map && v.Kind != source.List {
		return v
	}
	out := v.Shallow()
	for i, item := range v.Items {
		out.Items[i] = moved(item, to)
	}
	for i, f := range v.Fields {
		switch strings.TrimSuffix(f.Key, "+") {
		case "mounts", "initContainers", "sidecars", "command":
			out.Fields[i].Value = moved(f.Value, to)
		case "files", "objects":
			list := f.Value.Shallow()
			for j, item := range f.Value.ItemsOrNone() {
				list.Items[j] = movedPath(item, to)
			}
			out.Fields[i].Value = list
		case "file", "fileName":
			out.Fields[i].Value = movedPath(f.Value, to)
		}
	}
	return out
}

func movedPath(v *source.Value, to string) *source.Value {
	if !v.IsScalar() {
		return moved(v, to)
	}
	from := path.Dir(v.Origin.File)
	if from == to || v.Str() == "" || strings.HasPrefix(v.Str(), "/") {
		return v
	}
	return source.NewString(v.Origin, relative(to, path.Join(from, v.Str())))
}

// libraryFriend makes a friend of a friend's file.
func (r *run) libraryFriend(s *service, use descriptor.FriendUse) (*friend, source.Findings) {
	lineage := r.target.Lineage
	if c := r.target.Dependencies[use.Name].Context; c != "" {
		lineage = []string{c}
	}
	d, findings := r.define(use, lineage)
	if d == nil {
		return nil, findings
	}
	kind := d.fields.Get("type")
	if kind.IsNull() {
		findings.Add("required", use.Origin, "friends."+use.Name+".type", "write type: requirement (one for each service) or type: dependency (one for all)", "type is missing")
		return nil, findings
	}
	if k := kind.Str(); k != "requirement" && k != KindDependency {
		// It is said where the friend is read.
		return nil, findings
	}
	p := r.place(s, use, d)
	offer, more := r.offer(s, use, d, p)
	if findings = append(findings, more...); offer == nil {
		return nil, findings
	}
	f := r.consume(s, use, d, p, offer.self, &findings)
	f.app, f.files = s.Name, d.files
	if p.shared {
		f.app, f.shared, f.release, f.where = p.object, !p.external, p.object, p.namespace
	}
	if p.external {
		return f, findings
	}
	install := &dependency{
		release: p.object, namespace: p.namespace, definition: d, folded: offer.folded, names: offer.names,
		secret: p.made, keys: secretKeys(d.fields.Get("credentials")), given: !p.shared,
		chart: d.fields.Get("chart"), version: s.Version, origin: use.Origin,
	}
	if p.shared {
		f.needs, f.common = p.object, install
		r.share(install)
		return f, findings
	}
	f.subchart, more = r.install(install)
	f.made = install.made
	return f, append(findings, more...)
}

// placement is where a friend stands, and what its objects are called.
type placement struct {
	shared    bool // installed once for all
	external  bool // installed by somebody else
	object    string
	namespace string
	// made is the Secret that the friend's own chart reads, read the one that the
	// consumer does, owned whether the consumer's chart makes that.
	made, read string
	owned      bool
}

func (r *run) place(s *service, use descriptor.FriendUse, d *definition) placement {
	p := placement{
		shared: d.fields.Get("type").Str() == KindDependency, external: d.fields.Get("chart").IsNull(),
		object: generator.AppName(s.Name, use.Name), namespace: r.target.Namespace,
	}
	own := generator.ObjectName(s.Name, use.Name, "credentials")
	if p.shared {
		p.object = generator.AppName(use.Name)
		where := r.target.Dependencies[use.Name]
		if where.Release != "" {
			p.object = where.Release
		}
		if where.Namespace != "" {
			p.namespace = where.Namespace
		}
	}
	// The Secret of a shared friend is its own release's. Where that is not there,
	// or in another namespace, which no pod can read from, the consumer has one.
	p.owned = !p.shared || p.external || p.namespace != r.target.Namespace
	p.made, p.read = own, own
	if p.shared {
		p.made = generator.ObjectName(p.object, "credentials")
	}
	if !p.owned {
		p.read = p.made
	}
	return p
}

// offer is what a friend's own strings may refer to, and the context that its
// chart is made of, if it is one of a flavor.
type offer struct {
	self   *descriptor.Outputs
	names  descriptor.Names
	folded *descriptor.Folded
}

// offer finds a friend's outputs: its ports from its values, its config, and the
// names of its credentials.
func (r *run) offer(s *service, use descriptor.FriendUse, d *definition, p placement) (*offer, source.Findings) {
	var findings source.Findings
	where := "friends." + use.Name
	self := &descriptor.Outputs{Name: p.object, Namespace: p.namespace, External: p.external, Credentials: map[string]descriptor.Credential{}}
	o := &offer{self: self, names: descriptor.Names{"self": self}}
	if !p.shared || p.external {
		// What all share cannot know one of them.
		o.names["service"] = s.outputs
	}
	if chart := d.fields.Get("chart"); chart.Has("flavor") {
		var more source.Findings
		o.folded, more = descriptor.FoldValues(p.object, d.values, descriptor.Layers{Vars: r.target.Vars, Flavor: r.w.Flavor}, chart, d.file)
		if findings = append(findings, more...); o.folded == nil {
			return nil, findings
		}
		findings = append(findings, r.flavors.check(o.folded.Flavor)...)
		// Ports may come from config, so config's own text comes first.
		self.Config = d.fields.Get("config")
		ports, more := o.folded.Outputs(p.object, p.namespace, o.names)
		findings = append(findings, more...)
		self.Routes = ports.Routes
	}
	configOf(r.target.Vars, d.fields.Get("config"), where+".config", self, o.names, &findings)
	self.Plain = source.NewMap(source.Origin{})
	for _, f := range d.fields.Get("credentials").FieldsOrNone() {
		switch {
		case f.Value.Get("secret").IsScalar():
			self.Credentials[f.Key] = descriptor.Credential{Key: f.Key}
		case f.Value.IsScalar():
			self.Plain.Set(f.Key, r.target.Vars.Apply(f.Value, where+".credentials."+f.Key, &findings))
		}
	}
	return o, findings
}

// consume gives what a friend means for its consumer.
func (r *run) consume(s *service, use descriptor.FriendUse, d *definition, p placement, self *descriptor.Outputs, findings *source.Findings) *friend {
	where := "friends." + use.Name
	for i, item := range d.fields.Get("egress").ItemsOrNone() {
		if _, err := netip.ParsePrefix(item.Str()); err != nil {
			findings.Add("constraint", item.Origin, fmt.Sprintf("%s.egress[%d]", where, i), "write a CIDR such as 10.1.0.0/16", "%q is nothing that a policy can name", item.Str())
		}
	}
	outputs := *self
	outputs.Credentials = consumed(self.Credentials, use.Name)
	names := descriptor.Names{"service": s.outputs, "self": &outputs}
	f := &friend{outputs: &outputs}
	f.env = r.given(use, d.fields.Get("env"), where+".env", names, findings)
	f.mounts = r.mounts(s, d, where, findings)
	f.peer = generator.Friend{
		Name: use.Name, Object: p.object, Ports: ports(self), External: p.external, CIDRs: d.fields.Get("egress").Strings(),
		Secret: p.read, Keys: secretKeys(d.fields.Get("credentials")), Owned: p.owned,
		PodLabels: r.podLabels(d, p.object, names, findings),
	}
	if port, ok := self.Config.Get("port").Int(); ok && len(f.peer.Ports) == 0 {
		f.peer.Ports = []generator.Port{{Number: port, Protocol: "TCP"}}
	}
	if p.external {
		f.peer.Object = ""
	} else if p.namespace != r.target.Namespace {
		f.peer.Namespace = p.namespace
	}
	return f
}

// podLabels gives the labels by which a friend's pods are known.
func (r *run) podLabels(d *definition, object string, names descriptor.Names, findings *source.Findings) map[string]string {
	labels := d.fields.Get("podLabels")
	if labels.IsNull() {
		return map[string]string{"app.kubernetes.io/name": object}
	}
	out := map[string]string{}
	for _, f := range names.Apply(labels, "podLabels", findings).FieldsOrNone() {
		out[f.Key] = f.Value.Str()
	}
	return out
}

// mounts gives what a friend mounts into its consumers. Its files are relative
// to its own file; a mount's are relative to the descriptor.
func (r *run) mounts(s *service, d *definition, where string, findings *source.Findings) *source.Value {
	list := d.fields.Get("mounts")
	if list.IsNull() {
		return nil
	}
	out := list.Shallow()
	for i, m := range descriptor.ListOf(list, where+".mounts", findings) {
		files := m.Get("files")
		if files == nil {
			continue
		}
		if d.mounts != nil && r.w.IsLibrary(d.mounts) {
			findings.Add("unsupported", files.Origin, where+".mounts", "copy the friend into the workspace's folder of friends", "a friend of the library cannot bring files")
			continue
		}
		out.Items[i] = moved(m, s.Dir())
	}
	return out
}

// relative gives the path of a file as seen from a folder of the same tree.
func relative(from, file string) string {
	up := strings.Split(from, "/")
	if from == "." {
		up = nil
	}
	down := strings.Split(file, "/")
	for len(up) > 0 && len(down) > 1 && up[0] == down[0] {
		up, down = up[1:], down[1:]
	}
	return strings.Repeat("../", len(up)) + strings.Join(down, "/")
}

// dependency is a friend that is to be installed.
type dependency struct {
	release    string
	namespace  string
	definition *definition
	folded     *descriptor.Folded
	names      descriptor.Names
	secret     string
	keys       []generator.SecretKey
	chart      *source.Value
	given      bool // another chart makes its Secret
	version    string
	origin     source.Origin
	made       part // by install
}

// share notes a use of a friend that is installed once for all.
func (r *run) share(d *dependency) {
	r.mu.Lock()
	defer r.mu.Unlock()
	uses := r.dependencies[d.release]
	if len(uses) > 0 && d.same(uses[0]) {
		// Of many that say the same, one is kept whole.
		if d.before(uses[0]) {
			uses[0], d = d, uses[0]
		}
		d = &dependency{release: d.release, definition: &definition{fields: uses[0].definition.fields}, origin: d.origin}
	}
	r.dependencies[d.release] = append(uses, d)
}

// sharedKeys are what those who share a friend must say alike.
var sharedKeys = []string{"chart", "values", "config", "credentials"}

// same says whether two uses mean the same.
func (d *dependency) same(other *dependency) bool {
	return !slices.ContainsFunc(sharedKeys, func(key string) bool {
		return !source.Equal(d.definition.fields.Get(key), other.definition.fields.Get(key))
	})
}

// before says whether a use stands before another in the order of the files.
func (d *dependency) before(other *dependency) bool {
	x, y := d.origin.Position, other.origin.Position
	return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column)) < 0
}

// agreed gives the first use of a shared friend in the order of the files. Those
// who share it must mean the same.
func agreed(uses []*dependency) (*dependency, source.Findings) {
	var findings source.Findings
	slices.SortFunc(uses, func(a, b *dependency) int {
		switch {
		case a.before(b):
			return -1
		case b.before(a):
			return 1
		}
		return 0
	})
	first := uses[0]
	for _, other := range uses[1:] {
		for _, key := range sharedKeys {
			if !source.Equal(first.definition.fields.Get(key), other.definition.fields.Get(key)) {
				findings.Add("dependency-conflict", other.origin, "friends."+first.release, "describe it once, in a file of the workspace's friends", "the shared friend %s is described otherwise at %s: its %s differ", first.release, first.origin, key)
			}
		}
	}
	return first, findings
}

// shared makes the charts of the friends that are installed once for all.
func (r *run) shared(o Options) ([]*Release, source.Findings) {
	var out []*Release
	var findings source.Findings
	names := make([]string, 0, len(r.dependencies))
	for name := range r.dependencies {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d, more := agreed(r.dependencies[name])
		findings = append(findings, more...)
		release := &Release{
			Name: name, Kind: KindDependency, Context: r.target.Context, Namespace: d.namespace, App: name,
			Labels: map[string]string{"name": name, "kind": KindDependency, "context": r.target.Context, "flavor": d.chart.Get("flavor").Str()},
		}
		d.version = ""
		sub, more := r.install(d)
		findings = append(findings, more...)
		if sub == nil || o.Select != nil && !o.Select(release.Labels) {
			continue
		}
		release.Chart, release.Secrets = sub.Chart, d.secrets(r.target.Secrets.Delivery == workspace.DeliverExternal)
		if sub.Foreign {
			in := r.input(name, "", "")
			in.Secret, in.SecretKeys, in.Delivery = d.secret, d.keys, r.delivery(name, nil)
			in.Delivery.Runtime = nil // its consumers read its Secret
			release.Chart, more = generator.Wrap(in, *sub)
			findings = append(findings, more...)
		}
		if o.Trace {
			release.Trace = d.trace(sub)
		}
		out = append(out, release)
	}
	return out, findings
}

func (d *dependency) secrets(external bool) []generator.Secret {
	if len(d.keys) == 0 {
		return nil
	}
	return []generator.Secret{{Name: d.secret, Keys: d.keys, Created: true, External: external}}
}

// install makes the chart of a friend.
func (r *run) install(d *dependency) (*generator.Subchart, source.Findings) {
	var findings source.Findings
	if d.folded != nil {
		resolved, more := d.folded.Resolve(d.names, nil)
		if findings = append(findings, more...); findings.Err() != nil {
			return nil, findings
		}
		in := r.input(d.release, d.version, d.definition.file.Description())
		in.Namespace = d.namespace
		in.Guarded = true
		in.Resolved = resolved
		in.Secret, in.SecretGiven, in.SecretKeys = d.secret, d.given, d.keys
		in.Delivery = r.delivery(d.release, nil)
		in.Delivery.Runtime = nil // its pods and those of its consumers read one Secret
		result, more := generator.Generate(in)
		if findings = append(findings, more...); result == nil {
			return nil, findings
		}
		d.made = part{flavor: resolved.Flavor, values: result.Values}
		return &generator.Subchart{Chart: result.Chart}, findings
	}
	dir, more := r.w.Chart(d.chart)
	if findings = append(findings, more...); findings.Err() != nil {
		return nil, findings
	}
	chart, more := r.vendored(d.chart, dir)
	if findings = append(findings, more...); chart == nil {
		return nil, findings
	}
	values := d.definition.fields.Get("values")
	if values != nil {
		values = d.names.Apply(r.target.Vars.Apply(values, "values", &findings), "values", &findings)
	}
	d.made = part{dir: dir, values: ownValues(*chart, dir, values)}
	return &generator.Subchart{Chart: *chart, Values: values, Foreign: true}, findings
}

// The bounds on a chart that is vendored.
const (
	maxChartFile  = 4 << 20
	maxChartFiles = 2000
)

// vendored reads a chart from a folder of the workspace, or from elsewhere.
func (r *run) vendored(named *source.Value, dir string) (*generator.Chart, source.Findings) {
	var findings source.Findings
	at, where := named.Origin, "chart"
	if p := named.Get("path"); p.IsScalar() {
		at, where = p.Origin, "chart.path"
	}
	chart := &generator.Chart{}
	err := fs.WalkDir(r.w.FS, dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if len(chart.Files) >= maxChartFiles {
			return fmt.Errorf("the chart has more than %d files", maxChartFiles)
		}
		data, err := source.ReadFile(r.w.FS, name, maxChartFile)
		if err != nil {
			return err
		}
		chart.Files = append(chart.Files, generator.File{Path: strings.TrimPrefix(name, dir+"/"), Data: data})
		return nil
	})
	if err != nil {
		f := source.FileFinding(dir, err)
		findings.Add("file", at, where, f.Hint, "%s: %s", chartText(named, dir), f.Message)
		return nil, findings
	}
	for _, f := range chart.Files {
		if f.Path == "Chart.yaml" {
			meta, more := source.ParseYAML(path.Join(dir, f.Path), f.Data)
			findings = append(findings, more...)
			chart.Name, chart.Version = meta.Get("name").Str(), meta.Get("version").Str()
			findings = append(findings, lacking(*chart, meta)...)
		}
	}
	if chart.Name == "" || chart.Version == "" {
		findings.Add("file", at, where, "it needs a Chart.yaml with name and version", "there is no chart in %s", chartText(named, dir))
		return nil, findings
	}
	return chart, append(findings, foreign(*chart, dir)...)
}

// lacking names the charts that a chart depends on and does not bring along, which
// Helm refuses to install.
func lacking(chart generator.Chart, meta *source.Value) source.Findings {
	var findings source.Findings
	for _, d := range meta.Get("dependencies").ItemsOrNone() {
		name := d.Get("name").Str()
		there := slices.ContainsFunc(chart.Files, func(f generator.File) bool {
			inside, ok := strings.CutPrefix(f.Path, "charts/")
			return ok && strings.HasPrefix(inside, name)
		})
		if !there {
			findings.Add("chart", d.Origin, "dependencies", "take a packaged chart, or run helm dependency build and keep its charts folder", "the chart %s depends on %s, which is missing in its folder charts", chart.Name, name)
		}
	}
	return findings
}

// chartText gives where a chart is, as its friend or messages write it.
func chartText(named *source.Value, dir string) string {
	if p := named.Get("path"); p.IsScalar() {
		return p.Str()
	}
	return source.Readable(dir)
}

// foreign names what another tool's chart does that a flavor may not: its
// manifests are not decided by files alone.
func foreign(chart generator.Chart, dir string) source.Findings {
	loaded, err := render.Load(chart)
	if err != nil {
		return source.Findings{{Origin: source.Origin{Position: source.Position{File: dir}}, Message: err.Error(), Code: "chart"}}
	}
	found := loaded.Forbidden()
	for i := range found {
		found[i].Origin.File = path.Join(dir, found[i].Origin.File)
		if found[i].Code == render.CodeForbidden {
			found[i].Severity = source.Warning
		}
	}
	return found
}
