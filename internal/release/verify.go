package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// VerifyOptions say what is to be done with the releases.
type VerifyOptions struct {
	// CreateNamespace says that missing namespaces will be made.
	CreateNamespace bool
	// There is what the records say; what they hold and nobody wants any more has to
	// be deleted. Nil is not known.
	There *Installed
	Jobs  int
}

// Verify finds what on the cluster would stand in the way of releases: missing
// permissions, namespaces and kinds, and objects that its schemas refuse. Nothing
// is sent. Who may do what is asked by one SelfSubjectAccessReview for each verb,
// resource and namespace. The error says that the cluster could not be asked.
func (c *Cluster) Verify(ctx context.Context, target Target, wanted []*Desired, o VerifyOptions) (source.Findings, error) {
	v := &verifier{c: c, target: target, options: o, places: map[place]*permission{}}
	v.kinds(wanted)
	v.obsolete(wanted)
	v.run()
	for _, step := range []func(context.Context, []*Desired) error{v.checkNamespaces, v.checkSchemas, v.checkPermissions} {
		if err := step(ctx, wanted); err != nil {
			return nil, err
		}
	}
	return v.findings, ctx.Err()
}

// Immutables are the findings on what a plan cannot change in place.
func (p *Plan) Immutables() source.Findings {
	var out source.Findings
	for _, s := range p.Steps {
		for _, o := range s.Objects {
			if len(o.Immutable) > 0 && o.Action != manifest.Replace {
				out.Add("immutable", source.Origin{Position: source.Position{File: o.Source}}, s.Release+": "+o.Ref.String(),
					"--recreate deletes it and makes it anew", "the cluster does not change %s in place", strings.Join(o.Immutable, ", "))
			}
		}
	}
	return out
}

// verifier collects what releases need.
type verifier struct {
	c       *Cluster
	target  Target
	options VerifyOptions
	places  map[place]*permission
	order   []*permission

	unknown  map[string]bool // releases and objects of unknown kinds
	findings source.Findings
}

// place is where something is to be done.
type place struct {
	group, resource, namespace string
	// spare marks what kai gets along without, such as reading why a pod does not
	// start.
	spare bool
}

// permission is what is to be done there, and for whom.
type permission struct {
	place
	verbs    []string
	releases []string // none are all
	denied   []string
	reason   string
}

// need notes verbs that a release needs.
func (v *verifier) need(p place, release string, verbs ...string) {
	have := v.places[p]
	if have == nil {
		have = &permission{place: p}
		v.places[p] = have
		v.order = append(v.order, have)
	}
	for _, verb := range verbs {
		if !slices.Contains(have.verbs, verb) {
			have.verbs = append(have.verbs, verb)
		}
	}
	if release != "" && !slices.Contains(have.releases, release) {
		have.releases = append(have.releases, release)
	}
}

// kinds notes what the objects, hooks and definitions of the releases need, and
// finds kinds that the cluster does not know and no release brings.
func (v *verifier) kinds(wanted []*Desired) {
	v.unknown = map[string]bool{}
	defined := map[string]bool{}
	for _, d := range wanted {
		for _, o := range slices.Concat(d.CRDs, d.Objects) {
			if o.Ref.Kind == "CustomResourceDefinition" {
				defined[definedKind(o)] = true
			}
		}
	}
	for _, d := range wanted {
		v.need(place{resource: string(v.c.records), namespace: d.Namespace}, d.Name, "get", "list", "create", "update", "delete")
		for _, o := range d.CRDs {
			v.object(d, o, defined, "get", "create")
		}
		for _, o := range d.Objects {
			v.object(d, o, defined, "get", "create", "patch", "delete")
		}
		for _, o := range d.Hooks {
			if !isTest(o) { // Helm alone runs those
				v.object(d, o, defined, "get", "create", "delete")
			}
		}
		v.need(place{resource: "pods", namespace: d.Namespace, spare: true}, d.Name, "list")
		v.need(place{resource: "events", namespace: d.Namespace, spare: true}, d.Name, "list")
	}
}

func isTest(hook manifest.Object) bool {
	return !slices.ContainsFunc(hook.Hook, func(event string) bool { return !strings.HasPrefix(event, "test") })
}

func (v *verifier) object(d *Desired, o manifest.Object, defined map[string]bool, verbs ...string) {
	m, err := v.c.mappingFor(o.Ref)
	if err == nil {
		p := place{group: m.Resource.Group, resource: m.Resource.Resource, namespace: placed(o.Ref, m, d.Namespace).Namespace}
		v.need(p, d.Name, verbs...)
		p.spare = true
		v.need(p, d.Name, "list") // without it objects are read one by one
		return
	}
	path := d.Name + ": " + o.Ref.String()
	at := source.Origin{Position: source.Position{File: o.Source}}
	v.unknown[path] = true
	switch {
	case defined[o.Ref.Group()+"/"+o.Ref.Kind]:
		// Its plural is not known before the definition is there, unless by the rule
		// that most follow.
		gv, _ := schema.ParseGroupVersion(o.Ref.APIVersion)
		guess, _ := meta.UnsafeGuessKindToResource(gv.WithKind(o.Ref.Kind))
		v.need(place{group: guess.Group, resource: guess.Resource, namespace: d.Namespace}, d.Name, verbs...)
	case errors.Is(err, errNoKind):
		v.findings.Add("unknown-kind", at, path, kindHint(o.Ref), "the cluster does not know the kind %s of %s", o.Ref.Kind, o.Ref.APIVersion)
	default:
		v.findings.Add("unknown-kind", at, path, "ask the cluster once more; kubectl api-resources shows what it knows", "%s", err)
	}
}

// obsolete notes the kinds of what the releases have had so far.
func (v *verifier) obsolete(wanted []*Desired) {
	if v.options.There == nil {
		return
	}
	for _, d := range wanted {
		state := v.options.There.states[d.key()]
		if !state.installed() || state.deployed == nil {
			continue
		}
		// A record that cannot be read is the plan's finding.
		objects, _ := manifest.Parse(state.deployed.Manifest)
		for _, o := range objects {
			if m, err := v.c.mappingFor(o.Ref); err == nil {
				v.need(place{group: m.Resource.Group, resource: m.Resource.Resource, namespace: placed(o.Ref, m, d.Namespace).Namespace}, d.Name, "get", "delete")
			}
		}
	}
}

// run notes what a run needs beside the releases.
func (v *verifier) run() {
	v.need(place{group: "coordination.k8s.io", resource: "leases", namespace: v.target.Namespace}, "", "get", "create", "update", "delete")
}

// checkNamespaces finds namespaces that are missing or on their way out.
func (v *verifier) checkNamespaces(ctx context.Context, wanted []*Desired) error {
	for _, name := range namespacesOf(v.target, wanted) {
		phase, err := v.c.namespace(ctx, name)
		switch {
		case err != nil:
			return err
		case phase == corev1.NamespaceTerminating:
			v.findings.Add("namespace", source.Origin{}, "", "wait until it is gone, then install with --create-namespace", "the namespace %s is being deleted", name)
		case phase != "":
		case v.options.CreateNamespace:
			v.need(place{resource: "namespaces"}, "", "create")
		default:
			v.findings.Add("namespace", source.Origin{}, "", "--create-namespace makes it", "there is no namespace %s", name)
		}
	}
	return nil
}

// checkSchemas holds all that will be sent to the cluster's schemas.
func (v *verifier) checkSchemas(ctx context.Context, wanted []*Desired) error {
	findings := make([]source.Findings, len(wanted))
	errs := make([]error, len(wanted))
	each(ctx, v.options.Jobs, len(wanted), func(i int) {
		d := wanted[i]
		for _, o := range slices.Concat(d.CRDs, d.Objects, d.Hooks) {
			path := d.Name + ": " + o.Ref.String()
			if v.unknown[path] {
				continue
			}
			more, err := v.c.schemas.Check(ctx, o)
			if err != nil {
				errs[i] = err
				return
			}
			for _, f := range more {
				f.Path = strings.TrimSuffix(path+": "+f.Path, ": ")
				f.Origin.File = o.Source
				findings[i] = append(findings[i], f)
			}
		}
	})
	v.findings = append(v.findings, slices.Concat(findings...)...)
	return errors.Join(errs...)
}

// checkPermissions asks for everything that was noted, side by side.
func (v *verifier) checkPermissions(ctx context.Context, _ []*Desired) error {
	type question struct {
		of   *permission
		verb string
	}
	var questions []question
	for _, p := range v.order {
		twin := v.twin(p)
		for _, verb := range p.verbs {
			if twin == nil || !slices.Contains(twin.verbs, verb) {
				questions = append(questions, question{p, verb})
			}
		}
	}
	answers := make([]authorizationv1.SubjectAccessReviewStatus, len(questions))
	errs := make([]error, len(questions))
	each(ctx, v.options.Jobs, len(questions), func(i int) {
		answers[i], errs[i] = v.c.may(ctx, questions[i].of.place, questions[i].verb)
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	denied := false
	for i, q := range questions {
		if !answers[i].Allowed {
			denied = true
			q.of.denied = append(q.of.denied, q.verb)
			q.of.reason = answers[i].EvaluationError
		}
	}
	if !denied {
		return nil
	}
	who := v.c.whoami(ctx)
	for _, p := range v.order {
		if twin := v.twin(p); twin != nil && len(twin.denied) > 0 {
			twin.denied = append(twin.denied, p.denied...)
			p.denied = nil
		}
	}
	for _, p := range v.order {
		if len(p.denied) > 0 {
			v.findings = append(v.findings, p.finding(who))
		}
	}
	return ctx.Err()
}

// twin gives what is needed without fail where something is to be spared.
func (v *verifier) twin(p *permission) *permission {
	if !p.spare {
		return nil
	}
	at := p.place
	at.spare = false
	return v.places[at]
}

// may asks whether the caller may do something.
func (c *Cluster) may(ctx context.Context, p place, verb string) (authorizationv1.SubjectAccessReviewStatus, error) {
	review, err := c.core.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: p.namespace, Verb: verb, Group: p.group, Resource: p.resource,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return authorizationv1.SubjectAccessReviewStatus{}, fmt.Errorf("ask the cluster for permissions: %s", short(err))
	}
	return review.Status, nil
}

// whoami names the caller as the cluster sees it.
func (c *Cluster) whoami(ctx context.Context) string {
	review, err := c.core.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || review.Status.UserInfo.Username == "" {
		return "the user"
	}
	return review.Status.UserInfo.Username
}

// verbs are those that are asked for, in the order in which they are named.
var verbs = []string{"get", "list", "create", "update", "patch", "delete"}

// finding words what is missing.
func (p *permission) finding(who string) source.Finding {
	resource := p.resource
	if p.group != "" {
		resource += "." + p.group
	}
	where := "in " + p.namespace
	if p.namespace == "" {
		where = "in the cluster"
	}
	slices.SortFunc(p.denied, func(a, b string) int { return slices.Index(verbs, a) - slices.Index(verbs, b) })
	f := source.Finding{
		Code: "permission", Message: fmt.Sprintf("%s may not %s %s %s", who, strings.Join(p.denied, ", "), resource, where),
		Hint: "ask for a Role that allows it",
	}
	if p.namespace == "" {
		f.Hint = "ask for a ClusterRole that allows it"
	}
	if p.reason != "" {
		f.Message += " (" + p.reason + ")"
	}
	if len(p.releases) > 0 {
		f.Message += "; needed for " + listed(p.releases)
	}
	if p.spare {
		f.Severity = source.Warning
		f.Hint = "kai gets along without, and cannot say why something is not ready"
		if p.resource != "pods" && p.resource != "events" {
			f.Hint = "kai gets along without, and reads the objects one by one"
		}
	}
	return f
}

// listed names the first few of many.
func listed(names []string) string {
	const most = 6
	names = slices.Sorted(slices.Values(names))
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
