package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

// form is what a value of a kind's Go type looks like as JSON.
type form uint8

const (
	scalar      form = iota // text, number, bool
	structure               // a map with the fields of a Go struct
	dictionary              // a map with any keys
	list                    // of one kind of element
	quantity                // "1000m", "1", 1: one number, several spellings
	intOrString             // 80 and "80" are one
	octets                  // base64, in which line breaks are nothing
	opaque                  // JSON that the type does not tell
)

// shape is the form of a type and of all that is below it, read once from the Go
// types of Kubernetes' API. Shapes are never changed once made; they may be
// cyclic.
type shape struct {
	form   form
	fields map[string]*field // of a structure
	elem   *shape            // of a dictionary or a list
	fills  []fill            // what the server sets where a structure leaves it out
	grows  bool              // the server adds to the structure what depends on its other fields
	alias  bool              // the server writes serviceAccountName into serviceAccount too
	typ    reflect.Type      // of a structure, nil where it has no Go type
}

// field is a field of a structure.
type field struct {
	*shape
	// plain says that zero and left out are one: the field is not a pointer.
	plain bool
	// drops says that the server does not write the field where it is zero.
	drops bool
	// merges says that a list is merged and not replaced; key is the field that
	// names its elements, "" for a list of texts.
	merges bool
	key    string
	// replaces says that a map is replaced as a whole.
	replaces bool
	// retains says that fields which are not named anew are cleared.
	retains bool
}

// fill is a field that the server sets where it is left out: always, or where
// another field has one of some values.
type fill struct {
	key   string
	value any
	when  string
	is    []any
}

// fills are the defaults inside lists and structures that a patch replaces as a
// whole: there the patch of a wanted value without its defaults would never be
// empty. The source is SetDefaults_* in pkg/apis/*/*/defaults.go of Kubernetes.
func fills(t reflect.Type) []fill {
	switch t {
	case reflect.TypeFor[networkingv1.NetworkPolicyPort](), reflect.TypeFor[corev1.EndpointPort]():
		return []fill{{key: "protocol", value: "TCP"}}
	case reflect.TypeFor[discoveryv1.EndpointPort]():
		return []fill{{key: "protocol", value: "TCP"}, {key: "name", value: ""}}
	case reflect.TypeFor[corev1.ObjectFieldSelector]():
		return []fill{{key: "apiVersion", value: "v1"}}
	case reflect.TypeFor[corev1.ResourceFieldSelector]():
		return []fill{{key: "divisor", value: "0"}}
	case reflect.TypeFor[corev1.ServiceAccountTokenProjection]():
		return []fill{{key: "expirationSeconds", value: int64(3600)}}
	case reflect.TypeFor[corev1.PersistentVolumeClaim]():
		return []fill{
			{key: "apiVersion", value: "v1"}, {key: "kind", value: "PersistentVolumeClaim"},
			{key: "status", value: map[string]any{"phase": "Pending"}},
		}
	case reflect.TypeFor[corev1.PersistentVolumeClaimSpec]():
		return []fill{{key: "volumeMode", value: "Filesystem"}}
	case reflect.TypeFor[rbacv1.Subject]():
		return []fill{{key: "apiGroup", value: rbacv1.GroupName, when: "kind", is: []any{"User", "Group"}}}
	case reflect.TypeFor[admissionregistrationv1.RuleWithOperations]():
		return []fill{{key: "scope", value: "*"}}
	case reflect.TypeFor[batchv1.PodFailurePolicyOnPodConditionsPattern]():
		return []fill{{key: "status", value: "True"}}
	case reflect.TypeFor[appsv1.DeploymentStrategy]():
		return []fill{
			{key: "type", value: "RollingUpdate"},
			{
				key: "rollingUpdate", value: map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"},
				when: "type", is: []any{nil, "RollingUpdate"},
			},
		}
	}
	return nil
}

// holds says whether the fill is for the map.
func (f fill) holds(m map[string]any) bool {
	if f.when == "" {
		return true
	}
	for _, v := range f.is {
		if m[f.when] == v {
			return true
		}
	}
	return false
}

// shapes keeps the shapes of the kinds that were asked for. What it answers for
// a kind never changes.
type shapes struct {
	scheme func() *runtime.Scheme
	mu     sync.Mutex
	kinds  map[schema.GroupVersionKind]*shape
	types  map[reflect.Type]*shape
}

// known are the kinds of Kubernetes itself, in a scheme of our own: others add
// kinds to client-go's, which the server does not merge strategically.
var known = &shapes{
	scheme: sync.OnceValue(func() *runtime.Scheme {
		s := runtime.NewScheme()
		// It fails only where two types claim one kind, which Kubernetes' do not.
		_ = scheme.AddToScheme(s)
		_ = apiextensionsv1.AddToScheme(s)
		return s
	}),
	kinds: map[schema.GroupVersionKind]*shape{},
	types: map[reflect.Type]*shape{},
}

// of gives the shape of an object's kind; of a custom resource that is the shape
// of its metadata alone.
func (s *shapes) of(o map[string]any) *shape {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.kinds[gvk]; ok {
		return found
	}
	made := s.custom()
	if typed, err := s.scheme().New(gvk); err == nil {
		made = s.shape(reflect.TypeOf(typed))
	}
	s.kinds[gvk] = made
	return made
}

// custom gives the shape of a custom resource. Its lists are replaced, those of
// its metadata too.
func (s *shapes) custom() *shape {
	metadata := map[string]*field{}
	for name, f := range s.shape(reflect.TypeFor[metav1.ObjectMeta]()).fields {
		plain := *f
		plain.merges = false
		metadata[name] = &plain
	}
	return &shape{form: structure, fields: map[string]*field{
		"metadata": {shape: &shape{form: structure, fields: metadata}, plain: true},
	}}
}

// shape makes the shape of a type, and those of all types below it.
func (s *shapes) shape(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if made, ok := s.types[t]; ok {
		return made
	}
	made := &shape{}
	s.types[t] = made // before its fields, which may be of the type itself
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		made.form = quantity
		return made
	case reflect.TypeFor[intstr.IntOrString]():
		made.form = intOrString
		return made
	case reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray](),
		reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool](),
		reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray]():
		// Mostly a schema, and where it is something else it has no fields.
		*made = *s.shape(reflect.TypeFor[apiextensionsv1.JSONSchemaProps]())
		return made
	case reflect.TypeFor[metav1.FieldsV1](), reflect.TypeFor[runtime.RawExtension](), reflect.TypeFor[apiextensionsv1.JSON]():
		made.form = opaque
		return made
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return made // times
	}
	switch t.Kind() {
	case reflect.Struct:
		made.form, made.typ, made.fields, made.fills = structure, t, map[string]*field{}, fills(t)
		made.alias = t == reflect.TypeFor[corev1.PodSpec]()
		made.grows = t == reflect.TypeFor[corev1.LimitRangeItem]()
		s.addFields(made.fields, t)
	case reflect.Map:
		made.form, made.elem = dictionary, s.shape(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			made.form = octets
			break
		}
		made.form, made.elem = list, s.shape(t.Elem())
	case reflect.Interface:
		made.form = opaque
	}
	return made
}

// addFields adds the fields of a struct, with those of the structs embedded in
// it.
func (s *shapes) addFields(fields map[string]*field, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case name == "" && f.Anonymous || strings.Contains(options, "inline"):
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			s.addFields(fields, inner)
			continue
		case name == "":
			name = f.Name
		}
		fields[name] = &field{
			shape:    s.shape(f.Type),
			plain:    f.Type.Kind() != reflect.Pointer && f.Type.Kind() != reflect.Interface,
			drops:    drops(f.Type, options),
			merges:   strings.Contains(f.Tag.Get("patchStrategy"), "merge"),
			key:      f.Tag.Get("patchMergeKey"),
			replaces: strings.Contains(f.Tag.Get("patchStrategy"), "replace"),
			retains:  strings.Contains(f.Tag.Get("patchStrategy"), "retainKeys"),
		}
	}
}

// drops says whether encoding/json leaves a field out where it is zero: a
// pointer is written even where what it points to is zero.
func drops(t reflect.Type, options string) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		return false
	case reflect.Struct:
		return strings.Contains(options, "omitzero")
	}
	return strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
}
