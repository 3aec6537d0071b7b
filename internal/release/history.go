package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Revision is what a record says of one revision of a release.
type Revision struct {
	Release     string    `json:"release"`
	Namespace   string    `json:"namespace"`
	Revision    int       `json:"revision"`
	Status      string    `json:"status"` // as Helm words it: deployed, failed, pending-upgrade, …
	Chart       string    `json:"chart,omitempty"`
	AppVersion  string    `json:"appVersion,omitempty"`
	Updated     time.Time `json:"updated,omitzero"`
	Description string    `json:"description,omitempty"`
	// By is who has written the revision: kai, or helm.
	By        string `json:"by,omitempty"`
	Context   string `json:"context,omitempty"`
	Workspace string `json:"workspace,omitempty"`
	Service   string `json:"service,omitempty"`
	Kind      string `json:"kind,omitempty"` // service or dependency
	// ApplyMethod is what Helm 4 notes: ssa where it applied on the server.
	ApplyMethod string `json:"applyMethod,omitempty"`
	// Cluster is that of the Target, where the caller knows it.
	Cluster string `json:"cluster,omitempty"`
}

// revision gives what people want to know of a record.
func (r *Record) revision() Revision {
	out := Revision{
		Release: r.Name, Namespace: r.Namespace, Revision: r.Revision, Status: r.Status.String(), Chart: r.Chart, AppVersion: r.AppVersion,
		Updated: r.Info.LastDeployed.Time.UTC(), Description: r.Info.Description, By: "helm", ApplyMethod: r.ApplyMethod,
		Context: r.Labels[LabelContext], Workspace: r.Labels[LabelWorkspace], Service: r.Labels[LabelService], Kind: r.Labels[LabelKind],
	}
	// Helm hands labels on from revision to revision, so that the context's alone
	// says whose the release is, and not who has written this revision.
	if r.Labels[labelRevision] == strconv.Itoa(r.Revision) {
		out.By = "kai"
	}
	return out
}

// History gives the revisions of a release, oldest first; nothing where there is
// no such release.
func (c *Cluster) History(ctx context.Context, namespace, name string) ([]Revision, error) {
	records, err := c.listRecords(ctx, namespace, "name="+name)
	if err != nil {
		return nil, err
	}
	out := make([]Revision, len(records))
	for i, r := range records {
		out[i] = r.revision()
	}
	return out, nil
}

// ListOptions say which releases are listed.
type ListOptions struct {
	// Namespaces are looked into; none are all.
	Namespaces []string
	// Context and Workspace are those that releases were made from; "" is any.
	// WithoutWorkspace wants those of a folder that is no workspace.
	Context, Workspace string
	WithoutWorkspace   bool
	// Foreign lists releases too that kai has not made.
	Foreign bool
	// Select chooses by name, kind, service, context, workspace, namespace and
	// status; nil takes all.
	Select labels.Selector
}

// selector gives what the API server is asked for. Superseded revisions, which
// are most of the records, never leave it.
func (o ListOptions) selector() string {
	terms := []string{"status!=superseded"}
	switch {
	case o.Context != "":
		terms = append(terms, LabelContext+"="+o.Context)
	case !o.Foreign:
		terms = append(terms, LabelContext)
	}
	switch {
	case o.Workspace != "":
		terms = append(terms, LabelWorkspace+"="+o.Workspace)
	case o.WithoutWorkspace:
		terms = append(terms, "!"+LabelWorkspace)
	}
	return strings.Join(terms, ",")
}

// List gives the newest revision of each release, by namespace and name.
func (c *Cluster) List(ctx context.Context, o ListOptions) ([]Revision, error) {
	namespaces := slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	lists := make([][]*Record, len(namespaces))
	errs := make([]error, len(namespaces))
	each(ctx, 0, len(namespaces), func(i int) { lists[i], errs[i] = c.listRecords(ctx, namespaces[i], o.selector()) })
	for i, err := range errs {
		switch {
		case isForbidden(err) && namespaces[i] == "":
			return nil, fmt.Errorf("%w\n  hint: without -A the namespace alone is asked", err)
		case err != nil:
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newest(slices.Concat(lists...), o.Select), nil
}

// newest gives the last revision of each release that a selector takes.
func newest(records []*Record, selector labels.Selector) []Revision {
	last := map[releaseKey]*Record{}
	for _, r := range records {
		key := releaseKey{r.Namespace, r.Name}
		if have := last[key]; have == nil || have.Revision < r.Revision {
			last[key] = r
		}
	}
	out := make([]Revision, 0, len(last))
	for _, r := range last {
		v := r.revision()
		if selector == nil || selector.Matches(v.labels()) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Revision) int {
		if n := strings.Compare(a.Namespace, b.Namespace); n != 0 {
			return n
		}
		return strings.Compare(a.Release, b.Release)
	})
	return out
}

// labels are what a selector sees of a revision.
func (r Revision) labels() labels.Set {
	name := r.Service
	if name == "" {
		name = r.Release
	}
	return labels.Set{
		"name": name, "release": r.Release, "kind": r.Kind, "context": r.Context, "workspace": r.Workspace,
		"namespace": r.Namespace, "status": r.Status, "by": r.By,
	}
}
