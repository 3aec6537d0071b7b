package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// FieldManager is the manager of the fields that are sent: Helm's own name, so
// that Helm 3, Helm 4 and kai take over from one another.
const FieldManager = "helm"

// Cluster is a connection to one cluster. All releases of a run share it, and
// with it what is asked once: the kinds that the cluster knows, its version and
// its schemas. It is safe for concurrent use.
type Cluster struct {
	config   *rest.Config
	core     kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
	cached   discovery.CachedDiscoveryInterface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	records  recordKind
	clock    Clock

	mapping sync.Mutex // the mapper asks again after a miss, once for all
	missed  map[schema.GroupKind]bool
	schemas *manifest.Schemas

	decodeMu sync.Mutex
	decoded  map[string]decodedRecord // by namespace and name of what holds it

	nsMu       sync.Mutex
	namespaces map[string]corev1.NamespacePhase
}

// ConnectOptions say how a cluster is talked to.
type ConnectOptions struct {
	// Driver is where Helm keeps its records: secret ("" as well) or configmap.
	Driver string
	// QPS and Burst bound the requests of a run; 0 leaves it to the server, which
	// has its own means.
	QPS   float32
	Burst int
	// UserAgent is what the cluster's audit log shows.
	UserAgent string
	Clock     Clock
}

// Connect prepares a connection; nothing is asked yet.
func Connect(getter genericclioptions.RESTClientGetter, o ConnectOptions) (*Cluster, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster: %w\n  hint: --kubeconfig and --kube-context choose one", err)
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = o.QPS, o.Burst
	if o.QPS == 0 {
		config.QPS = -1
	}
	config.UserAgent = o.UserAgent
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &patient{next: next, clock: o.Clock} })
	records, err := recordKindOf(o.Driver)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, records: records, clock: o.Clock, missed: map[schema.GroupKind]bool{}, namespaces: map[string]corev1.NamespacePhase{}}
	// Records are large, and much faster to read that way. What is sent stays JSON.
	core := rest.CopyConfig(config)
	core.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	if c.core, err = kubernetes.NewForConfigAndClient(core, client); err != nil {
		return nil, err
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, err
	}
	if c.metadata, err = metadata.NewForConfigAndClient(config, client); err != nil {
		return nil, err
	}
	c.cached = memory.NewMemCacheClient(c.core.Discovery())
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.cached)
	c.schemas = manifest.NewSchemas(c.openAPI)
	return c, nil
}

// openAPI reads the OpenAPI document of a group version.
func (c *Cluster) openAPI(ctx context.Context, group, version string) ([]byte, error) {
	path := "/openapi/v3/apis/" + group + "/" + version
	if group == "" {
		path = "/openapi/v3/api/" + version
	}
	return c.core.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
}

// Server is the address of the cluster.
func (c *Cluster) Server() string { return c.config.Host }

// Capabilities are what templates see of a cluster.
type Capabilities struct {
	KubeVersion string
	APIVersions []string // group/version and group/version/Kind
}

// Capabilities asks the cluster for its version and for the APIs it has.
func (c *Cluster) Capabilities(ctx context.Context) (*Capabilities, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var version *apiversion.Info
	var reach error
	var wg sync.WaitGroup
	wg.Go(func() { version, reach = c.cached.ServerVersion() })
	groups, lists, err := c.cached.ServerGroupsAndResources()
	wg.Wait()
	if reach != nil {
		return nil, fmt.Errorf("the cluster %s cannot be reached: %w", c.Server(), reach)
	}
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("the cluster %s does not say which APIs it has: %w", c.Server(), err)
	}
	known := map[string]bool{}
	for _, g := range groups {
		for _, v := range g.Versions {
			known[v.GroupVersion] = true
		}
	}
	for _, l := range lists {
		for _, r := range l.APIResources {
			known[l.GroupVersion+"/"+r.Kind] = true
		}
	}
	out := &Capabilities{KubeVersion: version.GitVersion}
	for v := range known {
		out.APIVersions = append(out.APIVersions, v)
	}
	slices.Sort(out.APIVersions)
	return out, nil
}

// UID gives what tells clusters apart whatever they are called: the uid of the
// namespace kube-system.
func (c *Cluster) UID(ctx context.Context) (string, error) {
	ns, err := c.core.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the cluster %s does not say who it is (the uid of the namespace kube-system): %w", c.Server(), err)
	}
	return string(ns.UID), nil
}

// errNoKind is what mappingFor gives for a kind that the cluster does not know.
var errNoKind = errors.New("the cluster does not know the kind")

// kindHint says what has to be there for a kind that the cluster does not know.
func kindHint(r manifest.Ref) string {
	if r.Group() == "external-secrets.io" {
		return "External Secrets has to be installed in the cluster first, in a version that serves " + r.APIVersion + ": https://external-secrets.io"
	}
	return "install its CustomResourceDefinition first, or an API version that the cluster has"
}

// mappingFor finds the resource of an object. A kind that the cluster does not
// know is asked for once more, as its definition may have come since.
func (c *Cluster) mappingFor(r manifest.Ref) (*meta.RESTMapping, error) {
	gv, err := schema.ParseGroupVersion(r.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("%s: apiVersion: %w", r, err)
	}
	kind := schema.GroupKind{Group: gv.Group, Kind: r.Kind}
	c.mapping.Lock()
	defer c.mapping.Unlock()
	unknown := func() error {
		return fmt.Errorf("%s: %w %s in %s\n  hint: %s", r, errNoKind, r.Kind, r.APIVersion, kindHint(r))
	}
	if c.missed[kind] {
		return nil, unknown()
	}
	m, err := c.mapper.RESTMapping(kind, gv.Version)
	if meta.IsNoMatchError(err) {
		c.missed[kind] = true
		return nil, unknown()
	}
	return m, err
}

// forgetKinds has the cluster asked again, after definitions were sent to it.
func (c *Cluster) forgetKinds() {
	c.mapping.Lock()
	defer c.mapping.Unlock()
	clear(c.missed)
	c.mapper.Reset()
}

// resource gives the client of an object's resource. Namespaced objects without
// a namespace are those of the release.
func (c *Cluster) resource(r manifest.Ref, namespace string) (dynamic.ResourceInterface, error) {
	m, err := c.mappingFor(r)
	if err != nil {
		return nil, err
	}
	return c.resourceOf(m, placed(r, m, namespace).Namespace), nil
}

func (c *Cluster) resourceOf(m *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(m.Resource).Namespace(namespace)
	}
	return c.dynamic.Resource(m.Resource)
}

// placed gives an object's name with the namespace that it has in the cluster.
func placed(r manifest.Ref, m *meta.RESTMapping, namespace string) manifest.Ref {
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		r.Namespace = ""
	} else if r.Namespace == "" {
		r.Namespace = namespace
	}
	return r
}

// get reads an object; nil where there is none.
func (c *Cluster) get(ctx context.Context, r manifest.Ref, namespace string) (map[string]any, error) {
	client, err := c.resource(r, namespace)
	if errors.Is(err, errNoKind) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := client.Get(ctx, r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, refused("get", r, err)
	}
	return o.Object, nil
}

// Namespace says whether a namespace is there, and whether it is being deleted.
func (c *Cluster) namespace(ctx context.Context, name string) (corev1.NamespacePhase, error) {
	c.nsMu.Lock()
	defer c.nsMu.Unlock()
	if phase, ok := c.namespaces[name]; ok && phase != "" {
		return phase, nil
	}
	ns, err := c.core.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case apierrors.IsForbidden(err):
		// Who may not read namespaces may still work in one.
		c.namespaces[name] = corev1.NamespaceActive
		return corev1.NamespaceActive, nil
	case err != nil:
		return "", fmt.Errorf("namespace %s: %w", name, err)
	}
	c.namespaces[name] = ns.Status.Phase
	return ns.Status.Phase, nil
}

// EnsureNamespace makes a namespace where it is missing and create says so.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string, create bool) error {
	phase, err := c.namespace(ctx, name)
	switch {
	case err != nil:
		return err
	case phase == corev1.NamespaceTerminating:
		return fmt.Errorf("the namespace %s is being deleted\n  hint: wait until it is gone, then run again with --create-namespace", name)
	case phase != "":
		return nil
	case !create:
		return fmt.Errorf("there is no namespace %s\n  hint: --create-namespace makes it", name)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}}
	_, err = c.core.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the namespace %s: %w", name, err)
	}
	return nil
}

// live is what a cluster has of the objects that a plan is about.
type live struct {
	objects map[string]map[string]any // by Ref.Key
}

func (l *live) get(r manifest.Ref) map[string]any { return l.objects[r.Key()] }

// managed selects what Helm and kai have installed: they label every object.
const managed = "app.kubernetes.io/managed-by=Helm"

// read gets the objects of a plan: one list for each kind and namespace, without
// what others have there, and one request for each that the list lacks and that
// is there nevertheless.
func (c *Cluster) read(ctx context.Context, refs []manifest.Ref, jobs int) (*live, error) {
	type place struct {
		mapping   *meta.RESTMapping
		namespace string
		refs      []manifest.Ref
	}
	places := map[string]*place{}
	var order []*place
	for _, r := range refs {
		m, err := c.mappingFor(r)
		if errors.Is(err, errNoKind) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key := m.Resource.String() + " " + r.Namespace
		p := places[key]
		if p == nil {
			p = &place{mapping: m, namespace: r.Namespace}
			places[key] = p
			order = append(order, p)
		}
		p.refs = append(p.refs, r)
	}
	found := &live{objects: map[string]map[string]any{}}
	var mu sync.Mutex
	errs := make([]error, len(order))
	each(ctx, jobs, len(order), func(i int) {
		p := order[i]
		objects, err := c.readPlace(ctx, p.mapping, p.namespace, p.refs)
		errs[i] = err
		mu.Lock()
		defer mu.Unlock()
		for key, o := range objects {
			found.objects[key] = o
		}
	})
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	return found, nil
}

// fewGets is how many objects of one kind are read one by one.
const fewGets = 2

func (c *Cluster) readPlace(ctx context.Context, m *meta.RESTMapping, namespace string, refs []manifest.Ref) (map[string]map[string]any, error) {
	client := c.resourceOf(m, namespace)
	out := map[string]map[string]any{}
	wanted := map[string]manifest.Ref{}
	for _, r := range refs {
		wanted[r.Name] = r
	}
	missing := refs
	if len(wanted) > fewGets {
		options := metav1.ListOptions{LabelSelector: managed, Limit: 500, FieldSelector: notRecords(m)}
		err := eachPage(options, func(o metav1.ListOptions) (string, error) {
			page, err := client.List(ctx, o)
			if err != nil {
				return "", err
			}
			for _, item := range page.Items {
				if r, ok := wanted[item.GetName()]; ok {
					out[r.Key()] = item.Object
					delete(wanted, r.Name)
				}
			}
			return page.GetContinue(), nil
		})
		if err != nil && !apierrors.IsForbidden(err) {
			return nil, fmt.Errorf("list %s in %s: %w", m.Resource.Resource, namespace, err)
		}
		missing = missing[:0:0]
		for _, r := range wanted {
			missing = append(missing, r)
		}
		if err == nil && len(missing) > fewGets {
			if missing, err = c.present(ctx, m, namespace, missing); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range missing {
		o, err := client.Get(ctx, r.Name, metav1.GetOptions{})
		switch {
		case err == nil:
			out[r.Key()] = o.Object
		case !apierrors.IsNotFound(err):
			return nil, refused("get", r, err)
		}
	}
	return out, nil
}

// present says which of some objects are there, by their metadata alone.
func (c *Cluster) present(ctx context.Context, m *meta.RESTMapping, namespace string, refs []manifest.Ref) ([]manifest.Ref, error) {
	client := c.metadata.Resource(m.Resource)
	there := map[string]bool{}
	options := metav1.ListOptions{Limit: 500, FieldSelector: notRecords(m)}
	err := eachPage(options, func(o metav1.ListOptions) (string, error) {
		var page *metav1.PartialObjectMetadataList
		var err error
		if namespace != "" {
			page, err = client.Namespace(namespace).List(ctx, o)
		} else {
			page, err = client.List(ctx, o)
		}
		if err != nil {
			return "", err
		}
		for _, item := range page.Items {
			there[item.Name] = true
		}
		return page.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s in %s: %w", m.Resource.Resource, namespace, err)
	}
	var out []manifest.Ref
	for _, r := range refs {
		if there[r.Name] {
			out = append(out, r)
		}
	}
	return out, nil
}

// notRecords keeps Helm's records, which are large, out of lists of Secrets.
func notRecords(m *meta.RESTMapping) string {
	if m.Resource.Group == "" && m.Resource.Resource == "secrets" {
		return "type!=" + recordType
	}
	return ""
}

func eachPage(o metav1.ListOptions, list func(metav1.ListOptions) (string, error)) error {
	for {
		next, err := list(o)
		if err != nil || next == "" {
			return err
		}
		o.Continue = next
	}
}

// each calls f for 0 to n-1, jobs at a time.
func each(ctx context.Context, jobs, n int, f func(i int)) {
	if jobs <= 0 {
		jobs = defaultJobs
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(jobs, n) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
}

// defaultJobs is how many requests are under way at the same time: a cluster
// answers several at once, and most of the time is waiting.
const defaultJobs = 8

// owned says whose an object is, by the marks that Helm puts on all objects of a
// release.
func owner(o map[string]any) (name, namespace string, managed bool) {
	u := unstructured.Unstructured{Object: o}
	a := u.GetAnnotations()
	return a[annotationName], a[annotationNamespace], u.GetLabels()[labelManagedBy] == "Helm"
}

// The marks of ownership, as Helm sets them.
const (
	labelManagedBy      = "app.kubernetes.io/managed-by"
	annotationName      = "meta.helm.sh/release-name"
	annotationNamespace = "meta.helm.sh/release-namespace"
	annotationPolicy    = "helm.sh/resource-policy"
)

// short gives the part of a server's answer that people need.
func short(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return strings.TrimSpace(status.Status().Message)
	}
	return err.Error()
}
