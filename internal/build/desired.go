package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/source"
)

// DesireOptions say how charts become releases.
type DesireOptions struct {
	// Render holds what the charts are rendered for: the cluster's version and
	// APIs, where there is one.
	Render render.Options
	// Namespace is where releases go for which the workspace says nothing.
	Namespace string
	// Revision gives the revision that a release is at, 0 where it is not
	// installed. Nil is none of them.
	Revision func(name, namespace string) int
	// Store holds the secrets of the deployment; nil leaves placeholders.
	Store      secrets.Provider
	Deployment string
	// References reads references to other stores; nil leaves placeholders, or makes
	// a mistake of them where they are needed.
	References *refs.Resolver
	// Strict makes a secret that is nowhere a mistake, and does not let a
	// placeholder stand for it.
	Strict bool
	Jobs   int
	// Memory is what was rendered before; nil remembers nothing.
	Memory *Memory
}

// Memory keeps what was rendered, so that a run which wants the same twice, as
// one that compares two revisions does, renders it once. Its zero value is empty.
// It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	known map[memoryKey]*release.Desired
}

type memoryKey [sha256.Size]byte

// recall gives a release's rendering, if there is one of the same chart with the
// same options.
func (m *Memory) recall(key memoryKey) *release.Desired {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[key]
}

func (m *Memory) keep(key memoryKey, d *release.Desired) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[memoryKey]*release.Desired{}
	}
	m.known[key] = d
}

// keyOf stands for all that a rendering is made of.
func keyOf(r Release, inputs string, o render.Options) (memoryKey, error) {
	o.ReleaseName, o.Values = r.Name, withPlaceholders(r, o.Values)
	data, err := json.Marshal(struct {
		Inputs  string
		Options render.Options
	}{inputs, o})
	return sha256.Sum256(data), err
}

// Desire renders releases with their secrets: what a cluster is to have. All
// that is wrong is said at once.
func Desire(ctx context.Context, releases []Release, o DesireOptions) ([]*release.Desired, source.Findings, error) {
	given, findings, err := o.secrets(ctx, releases)
	if err != nil {
		return nil, nil, err
	}
	lacking := map[string]bool{}
	for _, f := range findings {
		lacking[f.Path] = true
	}
	out := make([]*release.Desired, len(releases))
	more := make([]source.Findings, len(releases))
	Each(ctx, o.Jobs, len(releases), func(i int) {
		if lacking[releases[i].Name] {
			return // its chart would say once more which secrets it lacks
		}
		d, err := o.desire(ctx, releases[i], given[i])
		if err != nil {
			more[i] = source.Findings{Finding(releases[i], err)}
			return
		}
		out[i] = d
	})
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for _, f := range more {
		findings = append(findings, f...)
	}
	if findings.Err() != nil {
		return nil, findings.Sorted(), nil
	}
	return out, findings, nil
}

// Finding says which release does not render, and where.
func Finding(r Release, err error) source.Finding {
	var positioned *render.Error
	if errors.As(err, &positioned) {
		f := positioned.Finding()
		f.Path = strings.TrimSuffix(r.Context+"/"+r.Name+": "+f.Path, ": ")
		f.Origin.File = r.Source(f.Origin.File)
		return f
	}
	return source.Finding{Path: r.Context + "/" + r.Name, Message: err.Error(), Code: "render"}
}

// Values gives what each release's chart is given beyond its own values: the
// user's and the secrets, which show writes.
func Values(ctx context.Context, releases []Release, o DesireOptions, show func(secrets.Value) string) ([]map[string]any, source.Findings, error) {
	given, findings, err := o.secrets(ctx, releases)
	if err != nil || findings.Err() != nil {
		return nil, findings, err
	}
	out := make([]map[string]any, len(releases))
	for i := range releases {
		values := hideValues(o.Render.Values, show)
		out[i] = fill(values, given[i], func(f filled) string { return show(f.value) })
	}
	return out, findings, nil
}

// hideValues has show write the secrets that a user gives, where charts look for
// them: below secrets, in every map called values.
func hideValues(user map[string]any, show func(secrets.Value) string) map[string]any {
	given, ok := user["secrets"].(map[string]any)
	if !ok {
		return user
	}
	out := maps.Clone(user)
	out["secrets"] = hideBelow(given, false, show)
	return out
}

func hideBelow(m map[string]any, secret bool, show func(secrets.Value) string) map[string]any {
	out := make(map[string]any, len(m))
	for key, v := range m {
		below, isMap := v.(map[string]any)
		switch {
		case isMap:
			out[key] = hideBelow(below, secret || key == "values", show)
		case secret:
			out[key] = show(secrets.New(fmt.Sprint(v)))
		default:
			out[key] = v
		}
	}
	return out
}

// slot is a place in a chart's values that wants a secret.
type slot struct {
	path      []string // below values
	secret    string   // name of the Secret
	key       string
	reference *source.Value
	ref       secrets.Ref
}

func (s slot) String() string { return strings.Join(s.path, ".") }

// slots lists what secrets a release's chart is to be given: none of what an
// operator reads by itself.
func slots(r Release, values map[string]any) []slot {
	return slotsOf(r, values, func(s generator.Secret) bool { return (s.Created || s.Written) && !s.External })
}

// slotsOf lists the slots of some Secrets.
func slotsOf(r Release, values map[string]any, wanted func(generator.Secret) bool) []slot {
	var out []slot
	for _, s := range r.Secrets {
		if !wanted(s) {
			continue
		}
		path := placeOf(s)
		if existing, _ := at(values, append(slices.Clone(path), "existingSecret")...).(string); existing != "" && !s.Written {
			continue
		}
		for _, k := range s.Keys {
			for _, name := range generator.Names(s.Role, k) {
				place := append(slices.Clone(path), "values", name)
				if at(values, place...) != nil {
					continue
				}
				ref := refOf(r.App, r.Apps, s.Role, s.Of, k.Reference, name)
				out = append(out, slot{path: place, secret: s.Name, key: name, reference: k.Reference, ref: ref})
			}
		}
	}
	return out
}

// at gives a value inside of maps, or nil.
func at(m map[string]any, path ...string) any {
	for _, key := range path[:len(path)-1] {
		m, _ = m[key].(map[string]any)
	}
	return m[path[len(path)-1]]
}

// filled is a slot with what it is to be given.
type filled struct {
	slot
	value secrets.Value
}

// secrets looks all references of all releases up, each key once.
func (o DesireOptions) secrets(ctx context.Context, releases []Release) ([][]filled, source.Findings, error) {
	out := make([][]filled, len(releases))
	all := make([][]slot, len(releases))
	var wanted []secrets.Ref
	for i, r := range releases {
		all[i] = slots(r, o.Render.Values)
		for _, s := range all[i] {
			if !refs.Is(s.ref.Name) {
				wanted = append(wanted, s.ref)
			}
		}
	}
	referred, findings, err := o.resolve(ctx, releases, all)
	if err != nil {
		return nil, nil, err
	}
	found := map[secrets.Ref]secrets.Value{}
	if o.Store != nil {
		var err error
		if found, _, err = secrets.Lookup(ctx, o.Store, o.Deployment, wanted); err != nil {
			return nil, nil, err
		}
	}
	for i, r := range releases {
		for _, s := range all[i] {
			value, ok := found[s.ref]
			if refs.Is(s.ref.Name) {
				value, ok = referred[s.ref.Name]
				if !ok && o.References != nil {
					continue // it is said why
				}
			}
			if ok {
				out[i] = append(out[i], filled{s, value})
				continue
			}
			if !o.Strict {
				out[i] = append(out[i], filled{s, secrets.New(Placeholder)})
				continue
			}
			give := fmt.Sprintf("helm kai secrets set -c %s %s", r.Context, s.ref)
			if s.reference.Has("generate") {
				give = fmt.Sprintf("helm kai secrets generate -c %s makes it", r.Context)
			}
			hint := fmt.Sprintf("%s; or name a Secret that has it: --set %s.existingSecret=NAME", give, strings.Join(s.path[:len(s.path)-2], "."))
			findings.Add("missing-secret", s.reference.OriginOrNone(), r.Name, hint, "the secret %s has no value, which the Secret %s wants", s.ref, s.secret)
		}
	}
	return out, findings, nil
}

// desire renders one release.
func (o DesireOptions) desire(ctx context.Context, r Release, given []filled) (*release.Desired, error) {
	namespace := r.Namespace
	if namespace == "" {
		namespace = o.Namespace
	}
	options := o.Render
	options.IncludeCRDs = true
	options.Namespace = namespace
	if o.Revision != nil {
		if revision := o.Revision(r.Name, namespace); revision > 0 {
			options.IsUpgrade = true
			options.Revision = revision + 1
		}
	}
	d := &release.Desired{
		Name: r.Name, Namespace: namespace, Kind: r.Kind, Needs: r.Needs,
		Inputs: digest(r.Chart), Secrets: map[string]secrets.Value{},
	}
	if r.Kind == KindService {
		d.Service = r.Labels["name"]
	}
	for _, u := range r.Uses {
		if u.Namespace == "" {
			u.Namespace = namespace
		}
		d.Uses = append(d.Uses, release.Use{Release: u.Release, Namespace: u.Namespace})
	}
	var texts []string
	for _, f := range given {
		d.Secrets[f.String()] = f.value
		if text := f.value.Reveal(); text != Placeholder {
			texts = append(texts, text)
		}
	}
	d.Values = fill(options.Values, given, func(f filled) string { return f.value.Reveal() })
	options.Values = d.Values
	if o.Memory == nil {
		return d, o.render(ctx, r, d, options, given, texts)
	}
	key, err := keyOf(r, d.Inputs, options)
	if err != nil {
		return nil, err
	}
	if known := o.Memory.recall(key); known != nil {
		d.Rendered, d.Objects, d.Hooks, d.CRDs, d.Mask = known.Rendered, known.Objects, known.Hooks, known.CRDs, known.Mask
		return d, nil
	}
	if err := o.render(ctx, r, d, options, given, texts); err != nil {
		return nil, err
	}
	o.Memory.keep(key, d)
	return d, nil
}

// render renders a release and finds what is secret in it.
func (o DesireOptions) render(ctx context.Context, r Release, d *release.Desired, options render.Options, given []filled, texts []string) error {
	result, err := Render(ctx, r, options)
	d.Mask = manifest.NewMask(texts)
	if err != nil {
		return masked(err, d.Mask)
	}
	d.Rendered = result
	if err := d.Parse(); err != nil {
		return err
	}
	if len(texts) > 0 {
		return o.taint(ctx, r, d, options, given)
	}
	return nil
}

// masked takes secrets out of what a template has failed with.
func masked(err error, mask *manifest.Mask) error {
	var positioned *render.Error
	if errors.As(err, &positioned) {
		positioned.Message = mask.Text(positioned.Message)
		return positioned
	}
	return errors.New(mask.Text(err.Error()))
}

// taint renders once more with other secrets: whatever differs was made of
// them, digests and all else that no search for the texts would find.
func (o DesireOptions) taint(ctx context.Context, r Release, d *release.Desired, options render.Options, given []filled) error {
	options.Values = fill(o.Render.Values, given, func(f filled) string { return "kai-taint-" + f.key })
	result, err := Render(ctx, r, options)
	if err != nil {
		// A chart that takes only secrets of a certain form is masked by their texts.
		return nil
	}
	other := &release.Desired{Rendered: result}
	if err := other.Parse(); err != nil {
		return nil
	}
	twin := map[string]map[string]any{}
	for _, object := range slices.Concat(other.Objects, other.Hooks, other.CRDs) {
		twin[object.Ref.Key()] = object.Fields
	}
	for _, object := range slices.Concat(d.Objects, d.Hooks, d.CRDs) {
		if placeholder, ok := twin[object.Ref.Key()]; ok {
			d.Mask.Taint(object.Ref, object.Fields, placeholder)
			// A plan knows the object by the namespace that it has in the cluster.
			if placed := object.Ref; placed.Namespace == "" {
				placed.Namespace = d.Namespace
				d.Mask.Taint(placed, object.Fields, placeholder)
			}
		}
	}
	return nil
}

// fill gives values with the secrets in their places; the user's own are not
// changed.
func fill(values map[string]any, given []filled, text func(filled) string) map[string]any {
	if len(given) == 0 && values != nil {
		return values
	}
	out := map[string]any{}
	for k, v := range values {
		out[k] = v
	}
	for _, f := range given {
		m := out
		for _, key := range f.path[:len(f.path)-1] {
			m = child(m, key)
		}
		m[f.path[len(f.path)-1]] = text(f)
	}
	return out
}

// digest identifies a chart by its files.
func digest(c generator.Chart) string {
	hash := sha256.New()
	for _, f := range c.Files {
		fmt.Fprintf(hash, "%q %d\n", f.Path, len(f.Data))
		hash.Write(f.Data)
	}
	return hex.EncodeToString(hash.Sum(nil))[:40]
}
