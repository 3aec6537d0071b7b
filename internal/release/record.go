package release

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The form of Helm's records: a Secret or a ConfigMap for each revision, whose
// key "release" holds base64 of gzip of JSON. Labels say the rest.
// Source: helm.sh/helm/v3/pkg/storage/driver.
const (
	recordType   = "helm.sh/release.v1"
	recordPrefix = "sh.helm.release.v1."
	recordKey    = "release"
	// maxRecord is what a Secret or a ConfigMap can hold.
	maxRecord = 1 << 20
	// maxDecoded bounds what a record may grow to when it is unpacked.
	maxDecoded = 64 << 20
)

// systemLabels are Helm's own on a record; all others are its users'.
var systemLabels = []string{"name", "owner", "status", "version", "createdAt", "modifiedAt"}

// LabelContext and the others are what kai writes on a release's record.
const (
	LabelWorkspace = "release.kai/workspace"
	LabelContext   = "release.kai/context"
	LabelService   = "release.kai/service"
	LabelKind      = "release.kai/kind"
	// LabelInputs is a digest of the chart that was released.
	LabelInputs = "release.kai/inputs"
	// labelUses marks a user of a shared friend: its key ends in the friend's
	// release, its value is the friend's namespace.
	labelUses = "uses.release.kai/"
	// labelRevision is the revision that kai has written the labels for: Helm
	// hands them on to the revisions that it makes.
	labelRevision = "release.kai/revision"
	// labelRun names the run of kai that has the release in its hands.
	labelRun = "release.kai/run"
	// runAlone begins its name where it holds the context.
	runAlone = "alone-"
)

// kindDependency is the kind of a shared friend's release.
const kindDependency = "dependency"

// recordKind is where records are kept.
type recordKind string

const (
	recordSecrets    recordKind = "secrets"
	recordConfigMaps recordKind = "configmaps"
)

func recordKindOf(driver string) (recordKind, error) {
	switch driver {
	case "", "secret", "secrets":
		return recordSecrets, nil
	case "configmap", "configmaps":
		return recordConfigMaps, nil
	}
	return "", fmt.Errorf("HELM_DRIVER=%s: kai keeps releases in Secrets or ConfigMaps\n  hint: HELM_DRIVER=secret or configmap", driver)
}

// Record is a revision of a release as Helm and kai have written it down.
type Record struct {
	Name      string
	Namespace string
	Revision  int
	Status    helm.Status
	Labels    map[string]string // without Helm's own

	Info       helm.Info
	Chart      string // NAME-VERSION
	AppVersion string
	Manifest   string
	Hooks      []*helm.Hook
	// ApplyMethod is what Helm 4 notes: "ssa" where it applied on the server.
	ApplyMethod string

	data string // as stored
}

// pending says that whoever wrote the record was about to change the release.
func (r *Record) pending() bool { return r.Status.IsPending() }

// decode reads a record without the chart that it carries, which is most of it.
func decode(data string) (*Record, error) {
	raw, err := unpack(data)
	if err != nil {
		return nil, err
	}
	var in struct {
		Name  string    `json:"name"`
		Info  helm.Info `json:"info"`
		Chart struct {
			Metadata struct {
				Name       string `json:"name"`
				Version    string `json:"version"`
				AppVersion string `json:"appVersion"`
			} `json:"metadata"`
		} `json:"chart"`
		Manifest    string       `json:"manifest"`
		Hooks       []*helm.Hook `json:"hooks"`
		Version     int          `json:"version"`
		Namespace   string       `json:"namespace"`
		ApplyMethod string       `json:"apply_method"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	r := &Record{
		Name: in.Name, Namespace: in.Namespace, Revision: in.Version, Status: in.Info.Status, Info: in.Info,
		AppVersion: in.Chart.Metadata.AppVersion, Manifest: in.Manifest, Hooks: in.Hooks, ApplyMethod: in.ApplyMethod, data: data,
	}
	if m := in.Chart.Metadata; m.Name != "" {
		r.Chart = m.Name + "-" + m.Version
	}
	return r, nil
}

// full reads a record with all that it holds, to be written again.
func (r *Record) full() (*helm.Release, error) {
	raw, err := unpack(r.data)
	if err != nil {
		return nil, fmt.Errorf("the record of %s, revision %d: %w", r.Name, r.Revision, err)
	}
	out := &helm.Release{}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("the record of %s, revision %d: %w", r.Name, r.Revision, err)
	}
	out.Labels = r.Labels
	return out, nil
}

func unpack(data string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, err
	}
	// Helm's oldest records are not compressed.
	if !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxDecoded+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxDecoded {
		return nil, fmt.Errorf("it unpacks to more than %d MiB", maxDecoded>>20)
	}
	return raw, nil
}

// encode writes a release as Helm does. What comes near to the limit is packed
// as tightly as can be; what goes beyond is an error that says what to do.
func encode(r *helm.Release) (string, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	data, err := pack(raw, gzip.DefaultCompression)
	if err == nil && len(data) > maxRecord*9/10 {
		data, err = pack(raw, gzip.BestCompression)
	}
	if err != nil {
		return "", err
	}
	if len(data) > maxRecord {
		hint := "move large files out of the chart (mounts' files, objects), into an image or a volume"
		if name, size := largestSecret(r.Config); size > maxRecord/4 {
			hint = fmt.Sprintf("%s has %d KiB, and what is secret hardly packs: keep it small, or have the pod read it elsewhere (secrets: {delivery: external-secrets} or runtime in the workspace's context)", name, size>>10)
		}
		return "", fmt.Errorf("the record of the release %s would have %d KiB, and Kubernetes takes %d KiB\n  hint: %s", r.Name, len(data)>>10, maxRecord>>10, hint)
	}
	return data, nil
}

// largestSecret gives where the largest secret stands in values, and its bytes: below
// secrets, in the maps called values.
func largestSecret(values map[string]any) (place string, size int) {
	var below func(path string, in map[string]any, secret bool)
	below = func(path string, in map[string]any, secret bool) {
		for _, key := range slices.Sorted(maps.Keys(in)) {
			here := strings.TrimPrefix(path+"."+key, ".")
			switch v := in[key].(type) {
			case map[string]any:
				if path != "" || key == "secrets" {
					below(here, v, secret || key == "values")
				}
			case string:
				if secret && len(v) > size {
					place, size = here, len(v)
				}
			}
		}
	}
	below("", values, false)
	return place, size
}

func pack(raw []byte, level int) (string, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, level)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(raw); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

func recordName(name string, revision int) string {
	return recordPrefix + name + ".v" + strconv.Itoa(revision)
}

// recordObject is a Secret or a ConfigMap that holds a record.
type recordObject struct {
	meta metav1.ObjectMeta
	data string
}

// listRecords reads the records of a namespace ("" is all) that a selector of
// labels chooses.
func (c *Cluster) listRecords(ctx context.Context, namespace, selector string) ([]*Record, error) {
	selector = strings.TrimSuffix("owner=helm,"+selector, ",")
	var objects []recordObject
	err := eachPage(metav1.ListOptions{LabelSelector: selector, Limit: 200}, func(o metav1.ListOptions) (string, error) {
		if c.records == recordConfigMaps {
			page, err := c.core.CoreV1().ConfigMaps(namespace).List(ctx, o)
			if err != nil {
				return "", err
			}
			for _, item := range page.Items {
				objects = append(objects, recordObject{item.ObjectMeta, item.Data[recordKey]})
			}
			return page.Continue, nil
		}
		page, err := c.core.CoreV1().Secrets(namespace).List(ctx, o)
		if err != nil {
			return "", err
		}
		for _, item := range page.Items {
			objects = append(objects, recordObject{item.ObjectMeta, string(item.Data[recordKey])})
		}
		return page.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the records of releases in %s: %w", orAll(namespace), err)
	}
	out := make([]*Record, len(objects))
	each(ctx, 0, len(objects), func(i int) {
		// A record that cannot be read is one that Helm does not list either.
		if r, err := c.decode(objects[i]); err == nil {
			out[i] = r
		}
	})
	out = slices.DeleteFunc(out, func(r *Record) bool { return r == nil })
	slices.SortFunc(out, func(a, b *Record) int { return strings.Compare(a.Name, b.Name)*2 + sign(a.Revision-b.Revision) })
	return out, ctx.Err()
}

// decodedRecord is a record as it was read last.
type decodedRecord struct {
	version string // of the object that holds it
	record  *Record
}

// decode reads a record, or takes what was read of it before: a run asks twice,
// before it holds its context and after, and mostly nothing has happened between.
func (c *Cluster) decode(o recordObject) (*Record, error) {
	key := o.meta.Namespace + "/" + o.meta.Name
	c.decodeMu.Lock()
	known, ok := c.decoded[key]
	c.decodeMu.Unlock()
	if ok && o.meta.ResourceVersion != "" && known.version == o.meta.ResourceVersion {
		return known.record, nil
	}
	r, err := decode(o.data)
	if err != nil {
		return nil, err
	}
	r.Labels = map[string]string{}
	for k, v := range o.meta.Labels {
		if !slices.Contains(systemLabels, k) {
			r.Labels[k] = v
		}
	}
	c.decodeMu.Lock()
	defer c.decodeMu.Unlock()
	if c.decoded == nil {
		c.decoded = map[string]decodedRecord{}
	}
	c.decoded[key] = decodedRecord{o.meta.ResourceVersion, r}
	return r, nil
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func orAll(namespace string) string {
	if namespace == "" {
		return "all namespaces"
	}
	return namespace
}

// createRecord writes a new revision. errMoved says that somebody else has
// written it meanwhile.
func (c *Cluster) createRecord(ctx context.Context, r *helm.Release) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: recordName(r.Name, r.Version), Labels: c.recordLabels(r, "createdAt")}
	if c.records == recordConfigMaps {
		_, err = c.core.CoreV1().ConfigMaps(r.Namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{recordKey: data}}, metav1.CreateOptions{})
	} else {
		_, err = c.core.CoreV1().Secrets(r.Namespace).Create(ctx, &corev1.Secret{ObjectMeta: meta, Type: recordType, Data: map[string][]byte{recordKey: []byte(data)}}, metav1.CreateOptions{})
	}
	if apierrors.IsAlreadyExists(err) && c.wrote(ctx, r) {
		return nil
	}
	if apierrors.IsAlreadyExists(err) {
		return &MovedError{What: []string{fmt.Sprintf("%s: somebody else has written revision %d", r.Name, r.Version)}}
	}
	if err != nil {
		return fmt.Errorf("write the record of %s: %s", r.Name, short(err))
	}
	return nil
}

// wrote says that a record which is there already is this run's: its request
// came through, and the answer was lost.
func (c *Cluster) wrote(ctx context.Context, r *helm.Release) bool {
	run := r.Labels[labelRun]
	if run == "" {
		return false
	}
	resource := corev1.SchemeGroupVersion.WithResource(string(c.records))
	o, err := c.metadata.Resource(resource).Namespace(r.Namespace).Get(ctx, recordName(r.Name, r.Version), metav1.GetOptions{})
	return err == nil && o.Labels[labelRun] == run
}

// updateRecord writes a revision again, as it goes on or ends.
func (c *Cluster) updateRecord(ctx context.Context, r *helm.Release) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: recordName(r.Name, r.Version), Labels: c.recordLabels(r, "modifiedAt")}
	if c.records == recordConfigMaps {
		_, err = c.core.CoreV1().ConfigMaps(r.Namespace).Update(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{recordKey: data}}, metav1.UpdateOptions{})
	} else {
		_, err = c.core.CoreV1().Secrets(r.Namespace).Update(ctx, &corev1.Secret{ObjectMeta: meta, Type: recordType, Data: map[string][]byte{recordKey: []byte(data)}}, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write the record of %s: %s", r.Name, short(err))
	}
	return nil
}

func (c *Cluster) deleteRecord(ctx context.Context, namespace, name string, revision int) error {
	var err error
	if c.records == recordConfigMaps {
		err = c.core.CoreV1().ConfigMaps(namespace).Delete(ctx, recordName(name, revision), metav1.DeleteOptions{})
	} else {
		err = c.core.CoreV1().Secrets(namespace).Delete(ctx, recordName(name, revision), metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the record of %s, revision %d: %s", name, revision, short(err))
	}
	return nil
}

func (c *Cluster) recordLabels(r *helm.Release, when string) map[string]string {
	labels := maps.Clone(r.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["name"] = r.Name
	labels["owner"] = "helm"
	labels["status"] = r.Info.Status.String()
	labels["version"] = strconv.Itoa(r.Version)
	labels[when] = strconv.FormatInt(c.clock.Now().Unix(), 10)
	return labels
}

// prune deletes the oldest revisions so that at most max remain, never the one
// that is deployed. 0 keeps all.
func (c *Cluster) prune(ctx context.Context, namespace, name string, max int) error {
	if max <= 0 {
		return nil
	}
	// Names and labels tell enough: the records themselves are large.
	resource := corev1.SchemeGroupVersion.WithResource(string(c.records))
	list, err := c.metadata.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,name=" + name})
	if err != nil {
		return fmt.Errorf("the history of %s: %s", name, short(err))
	}
	type entry struct {
		revision int
		deployed bool
	}
	var entries []entry
	for _, item := range list.Items {
		if v, err := strconv.Atoi(item.Labels["version"]); err == nil {
			entries = append(entries, entry{v, item.Labels["status"] == helm.StatusDeployed.String()})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.revision - b.revision })
	for _, e := range entries[:len(entries)-min(len(entries), max)] {
		if e.deployed {
			continue
		}
		if err := c.deleteRecord(ctx, namespace, name, e.revision); err != nil {
			return err
		}
	}
	return nil
}

// state is what the records say of one release.
type state struct {
	// last is the newest revision, deployed the newest that was successful; nil
	// where there is none.
	last, deployed *Record
	// others are older than last and still called deployed, as when a run was
	// killed between two writes.
	others []*Record
	// since are the revisions after the deployed one: what they have made of
	// objects may be there.
	since []*Record
}

// installed says whether there is a release at all.
func (s *state) installed() bool {
	return s != nil && s.last != nil && s.last.Status != helm.StatusUninstalled
}

// stateOf makes sense of a release's records, oldest first, superseded ones left
// out.
func stateOf(records []*Record) *state {
	s := &state{}
	for _, r := range records {
		s.last = r
		if r.Status == helm.StatusDeployed {
			if s.deployed != nil {
				s.others = append(s.others, s.deployed)
			}
			s.deployed, s.since = r, nil
		} else if r.Status != helm.StatusUninstalled {
			s.since = append(s.since, r)
		} else {
			s.deployed, s.since = nil, nil
		}
	}
	return s
}

// states reads what the records of some namespaces say, by namespace and name.
func (c *Cluster) states(ctx context.Context, namespaces []string) (map[releaseKey]*state, error) {
	byRelease := map[releaseKey][]*Record{}
	for _, ns := range namespaces {
		records, err := c.listRecords(ctx, ns, "status!=superseded")
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			key := releaseKey{r.Namespace, r.Name}
			byRelease[key] = append(byRelease[key], r)
		}
	}
	out := make(map[releaseKey]*state, len(byRelease))
	for key, records := range byRelease {
		s := stateOf(records)
		if s.deployed == nil && s.last.Revision > 1 && s.last.Status != helm.StatusUninstalled {
			// Helm calls the old revision superseded before it calls the new one
			// deployed: killed in between, it leaves neither.
			old, err := c.listRecords(ctx, key.namespace, "status=superseded,name="+key.name)
			if err != nil {
				return nil, err
			}
			if len(old) > 0 {
				s.deployed = old[len(old)-1]
			}
		}
		out[key] = s
	}
	return out, nil
}

type releaseKey struct{ namespace, name string }

// Installed is what the records of some namespaces say.
type Installed struct {
	namespaces []string
	states     map[releaseKey]*state
}

// Installed reads the records of namespaces; those that are named twice are read
// once.
func (c *Cluster) Installed(ctx context.Context, namespaces []string) (*Installed, error) {
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	states, err := c.states(ctx, namespaces)
	if err != nil {
		return nil, err
	}
	return &Installed{namespaces: namespaces, states: states}, nil
}

// Revision gives the revision that a release is at, 0 where it is not installed.
func (i *Installed) Revision(name, namespace string) int {
	if s := i.states[releaseKey{namespace, name}]; s.installed() {
		return s.last.Revision
	}
	return 0
}

// Clock tells the time and waits. Tests have one of their own.
type Clock interface {
	Now() time.Time
	// After gives a channel that receives after a while.
	After(d time.Duration) <-chan time.Time
}
