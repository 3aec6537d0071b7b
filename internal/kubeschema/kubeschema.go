// Package kubeschema says what a Kubernetes API server would refuse, without one:
// unknown fields, wrong types, what is missing, and what the validation of the
// types that charts are made of does not take. It holds the schemas of several
// minors of Kubernetes, embedded, and when each version of an API came and went;
// those of custom resources are given to it.
//
// Its rule: nothing is a problem that the server takes. Where the server's
// validation is not known here, everything is right. An end-to-end test asks a
// real API server about mutants of all manifests that this repository renders.
package kubeschema

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed schemas.gz
var packed []byte

var unpacked = sync.OnceValues(func() (*Pack, error) { return decode(packed) })

// Problem is something that the API server refuses.
type Problem struct {
	// Path is the field, as in spec.containers[name=web].ports[0].name; "" is the
	// object itself.
	Path string
	Code Code
	// Message says what is wrong, and repeats no value that may be a secret.
	Message string
	// Hint says what to do instead, or is "".
	Hint string
}

// Code is a kind of problem.
type Code string

// The codes.
const (
	UnknownKind  Code = "unknown-kind"
	UnknownField Code = "unknown-field"
	Type         Code = "type"
	Required     Code = "required"
	Enum         Code = "enum"
	Value        Code = "value"
)

func (p Problem) String() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// Schemas are those of one minor of Kubernetes, and of what was added. They are
// safe for concurrent use once nothing is added any more.
type Schemas struct {
	pack  *Pack
	minor Minor
	// number is the minor as a number: 36 for 1.36.
	number int
	texts  map[string]int
	lives  map[string]Life
	custom map[string]*Node
	served map[string][]string // versions of custom resources, by group and kind
	json   map[string]jsonSchema

	mu    sync.Mutex
	nodes map[string]*Node
}

// Minors gives those that are embedded, oldest first, as 1.36.
func Minors() []string {
	pack, err := unpacked()
	if err != nil {
		return nil
	}
	var names []string
	for _, minor := range pack.Minors {
		names = append(names, minorOf(minor.Version))
	}
	return names
}

// minorOf cuts a version, such as v1.36.3, to its minor.
func minorOf(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Load gives the schemas of a minor, such as 1.36, v1.36.3, or "" for the newest.
func Load(version string) (*Schemas, error) {
	pack, err := unpacked()
	if err != nil {
		return nil, fmt.Errorf("the embedded schemas: %w", err)
	}
	i := len(pack.Minors) - 1
	if version != "" {
		i = slices.IndexFunc(pack.Minors, func(m Minor) bool { return minorOf(m.Version) == minorOf(version) })
	}
	if i < 0 {
		return nil, fmt.Errorf("there are no schemas of Kubernetes %s\n  hint: there are those of %s", version, strings.Join(Minors(), ", "))
	}
	s := &Schemas{
		pack: pack, minor: pack.Minors[i], texts: map[string]int{}, lives: map[string]Life{},
		custom: map[string]*Node{}, served: map[string][]string{}, json: map[string]jsonSchema{}, nodes: map[string]*Node{},
	}
	if _, err := fmt.Sscanf(minorOf(s.minor.Version), "1.%d", &s.number); err != nil {
		return nil, err
	}
	for place, text := range s.minor.Texts {
		if text >= 0 {
			s.texts[pack.Names[place]] = text
		}
	}
	for _, life := range pack.Lives {
		s.lives[key(life.apiVersion(), life.Kind)] = life
	}
	return s, nil
}

func (l Life) apiVersion() string { return strings.TrimPrefix(l.Group+"/"+l.Version, "/") }

func key(apiVersion, kind string) string { return apiVersion + "/" + kind }

// Version is the release of Kubernetes that the schemas are from.
func (s *Schemas) Version() string { return s.minor.Version }

// Known says whether there is a schema of a kind.
func (s *Schemas) Known(apiVersion, kind string) bool {
	k := key(apiVersion, kind)
	_, builtIn := s.minor.Kinds[k]
	return builtIn || s.custom[k] != nil || s.json[k] != nil
}

// Kind gives what is said of one of Kubernetes' own kinds.
func (s *Schemas) Kind(apiVersion, kind string) (Kind, bool) {
	k, ok := s.minor.Kinds[key(apiVersion, kind)]
	return k, ok
}

// BuiltIn says whether a kind is, or would be, one of Kubernetes' own: whether the
// minor has others of its API group.
func (s *Schemas) BuiltIn(apiVersion string) bool {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return true
	}
	for k := range s.minor.Kinds {
		if strings.HasPrefix(k, group+"/") {
			return true
		}
	}
	return false
}

// Life gives when a version of one of Kubernetes' own APIs was deprecated and
// removed, and what to use now: the newest version of the kind that this minor
// has, or what Kubernetes says takes its place. ok is false for an API that has
// no end.
func (s *Schemas) Life(apiVersion, kind string) (life Life, ok bool) {
	life, ok = s.lives[key(apiVersion, kind)]
	if !ok {
		return Life{}, false
	}
	life.Replacement = s.successor(life)
	return life, true
}

// Removed says whether the minor has no longer what the life is of.
func (s *Schemas) Removed(life Life) bool { return !s.Known(life.apiVersion(), life.Kind) }

// Deprecated says whether the minor warns of what the life is of.
func (s *Schemas) Deprecated(life Life) bool {
	var minor int
	_, err := fmt.Sscanf(life.Deprecated, "1.%d", &minor)
	return err == nil && minor <= s.number
}

// successor follows what Kubernetes says to what the minor has.
func (s *Schemas) successor(life Life) string {
	next := strings.TrimSuffix(life.Replacement, "List") // a slip in Kubernetes: IngressClassList
	for range maxReferences {
		apiVersion, kind, ok := strings.Cut(next, " ")
		further, ended := s.lives[key(apiVersion, kind)]
		if !ok || s.Known(apiVersion, kind) || !ended {
			break
		}
		next = further.Replacement
	}
	if next != "" {
		return next
	}
	for _, version := range []string{"v1", "v2", "v1beta2", "v1beta1"} {
		apiVersion := strings.TrimPrefix(life.Group+"/"+version, "/")
		if version != life.Version && s.Known(apiVersion, life.Kind) {
			return apiVersion + " " + life.Kind
		}
	}
	return ""
}

// maxReferences bounds chains of references.
const maxReferences = 32

// Versions gives the versions of a kind that the minor has, as apiVersions.
func (s *Schemas) Versions(kind string) []string {
	var found []string
	for k := range s.minor.Kinds {
		if apiVersion, ok := strings.CutSuffix(k, "/"+kind); ok {
			found = append(found, apiVersion)
		}
	}
	for k := range s.custom {
		if apiVersion, ok := strings.CutSuffix(k, "/"+kind); ok {
			found = append(found, apiVersion)
		}
	}
	slices.Sort(found)
	return found
}

// kinds gives the kinds of an apiVersion.
func (s *Schemas) kinds(apiVersion string) []string {
	var found []string
	for _, keys := range [][]string{slices.Collect(maps.Keys(s.minor.Kinds)), slices.Collect(maps.Keys(s.custom))} {
		for _, k := range keys {
			if kind, ok := strings.CutPrefix(k, apiVersion+"/"); ok && !strings.Contains(kind, "/") {
				found = append(found, kind)
			}
		}
	}
	slices.Sort(found)
	return found
}

// named gives one of Kubernetes' own definitions, decoded when it is first asked
// for.
func (s *Schemas) named(name string) (*Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoded(name)
}

// decoded is named for who holds the lock. References become the definitions
// themselves, so that checking needs no lock.
func (s *Schemas) decoded(name string) (*Node, error) {
	if n, ok := s.nodes[name]; ok {
		return n, nil
	}
	at, ok := s.texts[name]
	if !ok {
		return nil, fmt.Errorf("there is no schema %s", name)
	}
	n := &Node{}
	if err := json.Unmarshal([]byte(s.pack.texts[at]), n); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	n.prepare(name)
	s.nodes[name] = n // before its parts: a schema may be part of itself
	return n, s.link(n)
}

func (s *Schemas) link(n *Node) error {
	var errs []error
	child := func(c *Node) *Node {
		if c == nil {
			return nil
		}
		if c.Ref == "" {
			errs = append(errs, s.link(c))
			return c
		}
		target, err := s.decoded(c.Ref)
		errs = append(errs, err)
		return target
	}
	n.Items, n.Values = child(n.Items), child(n.Values)
	for name, property := range n.Properties {
		n.Properties[name] = child(property)
	}
	return errors.Join(errs...)
}

// Validate gives what the API server would refuse of an object, in the order of
// the paths: nothing for a right one. Values are those of a JSON decoder, whole
// numbers also int64. The object is not changed.
func (s *Schemas) Validate(object map[string]any) []Problem {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	c := checker{schemas: s, kind: kind, apiVersion: apiVersion}
	k := key(apiVersion, kind)
	builtIn, ok := s.minor.Kinds[k]
	switch {
	case apiVersion == "" || kind == "":
		c.add(nil, Required, "", "an object needs an apiVersion and a kind")
	case ok:
		c.object(builtIn, object)
	case s.custom[k] != nil:
		c.customObject(s.custom[k], object)
	case s.json[k] != nil:
		c.problems = s.json[k].validate(object)
	default:
		c.unknown()
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return c.problems
}

// unknown says what there is instead of a kind.
func (c *checker) unknown() {
	if life, ok := c.schemas.Life(c.apiVersion, c.kind); ok && c.schemas.Removed(life) {
		hint := ""
		if life.Replacement != "" {
			hint = "use " + life.Replacement
		}
		c.add(nil, UnknownKind, hint, "%s %s is not in Kubernetes %s", c.apiVersion, c.kind, minorOf(c.schemas.minor.Version))
		return
	}
	if instead, refused := c.schemas.Refused(c.apiVersion, c.kind); refused {
		hint := ""
		if len(instead) > 0 {
			hint = "it serves " + strings.Join(instead, ", ")
		}
		c.add(nil, UnknownKind, hint, "the CustomResourceDefinition of %s does not serve %s", c.kind, c.apiVersion)
		return
	}
	hint := nearest(c.kind, c.schemas.kinds(c.apiVersion))
	if others := c.schemas.Versions(c.kind); hint == "" && len(others) > 0 {
		hint = "there is " + strings.Join(others, ", ") + " " + c.kind
	}
	c.add(nil, UnknownKind, hint, "there is no schema of %s %s", c.apiVersion, c.kind)
}
