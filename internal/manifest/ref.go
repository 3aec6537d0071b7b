// Package manifest is about Kubernetes objects as data: what a chart rendered,
// what a release's record holds and what a cluster answers. It parses, orders,
// merges, compares and masks them, and judges their health. It talks to no
// cluster.
package manifest

import "strings"

// Ref names an object.
type Ref struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// String gives the object as people name it: Deployment/carts.
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// Group gives the API group, "" for the core's.
func (r Ref) Group() string {
	group, _, found := strings.Cut(r.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// Key identifies the object whatever version of its API names it.
func (r Ref) Key() string {
	return r.Group() + "/" + r.Kind + "/" + r.Namespace + "/" + r.Name
}

// Object is an object as JSON decodes it, with integers as int64, the way
// Kubernetes' own unstructured objects are.
type Object struct {
	Ref    Ref
	Fields map[string]any
	// Source is the template that it came from, as Helm names it, or "".
	Source string
	// Hook holds the events of a hook (pre-install, test, …), or nothing.
	Hook []string
}

// Action is what happens to an object or to a release.
type Action string

// The actions. An object is replaced where the cluster cannot change it: it is
// deleted and made anew.
const (
	Create    Action = "create"
	Update    Action = "update"
	Replace   Action = "replace"
	Unchanged Action = "unchanged"
	Remove    Action = "remove"
)

// Change is what happens to one object. It holds no secret: what is secret is
// masked in Before and After already.
type Change struct {
	Ref    Ref    `json:"object"`
	Action Action `json:"action"`
	// From is the name that the object had before, where it was renamed.
	From *Ref `json:"from,omitempty"`
	// Source is the template of the object, or "".
	Source string `json:"source,omitempty"`
	// Hook holds the events of a hook, or nothing.
	Hook []string `json:"hook,omitempty"`
	// Before and After are the object without noise; nil where there is none.
	Before map[string]any `json:"-"`
	After  map[string]any `json:"-"`
	// Fields are the leaves that differ, in the order of their paths.
	Fields []Field `json:"fields,omitempty"`
	// Immutable are the paths among them that the cluster will not change in
	// place.
	Immutable []string `json:"immutable,omitempty"`
}

// Field is a leaf that differs.
type Field struct {
	Path   string `json:"path"` // spec.template.spec.containers[name=carts].image
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}
