package kubernetes

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The bounds of a Secret: of its values together, and of its annotations, from
// which some is left for those of others.
const (
	maxValues = 1 << 20
	maxKinds  = 192 << 10
)

// object is a Secret, or a ConfigMap, as the API gives it.
type object struct {
	fields   map[string]any
	metadata map[string]any
	data     map[string]string // by keys of data
}

// parseObject reads an object. No error shows what stands there.
func parseObject(body []byte) (*object, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	o := &object{data: map[string]string{}}
	if err := decoder.Decode(&o.fields); err != nil {
		return nil, fmt.Errorf("the answer is no JSON of Kubernetes")
	}
	o.metadata, _ = o.fields["metadata"].(map[string]any)
	if o.metadata == nil {
		return nil, fmt.Errorf("the answer is no object of Kubernetes")
	}
	encoded := "data"
	if o.fields["kind"] == "ConfigMap" {
		encoded = "binaryData"
		texts, _ := o.fields["data"].(map[string]any)
		for key, text := range texts {
			o.data[key], _ = text.(string)
		}
	}
	fields, _ := o.fields[encoded].(map[string]any)
	for key, field := range fields {
		text, _ := field.(string)
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("the answer's %s is not base64", key)
		}
		o.data[key] = string(plain)
	}
	return o, nil
}

func (o *object) text(field string) string {
	text, _ := o.metadata[field].(string)
	return text
}

func (o *object) annotation(key string) string {
	annotations, _ := o.metadata["annotations"].(map[string]any)
	text, _ := annotations[key].(string)
	return text
}

// version is the word for this state of a path. One without values has none.
func (o *object) version() string {
	if o == nil || len(o.data) == 0 {
		return ""
	}
	return o.text("resourceVersion")
}

// kindLetters are those of secrets.Pack, but for text, which is what needs no word.
var kindLetters = map[secrets.Kind]string{secrets.Number: "n", secrets.Bool: "b", secrets.List: "l", secrets.Map: "m"}

// values gives what a Secret holds.
func (o *object) values() map[string]secrets.Value {
	if o == nil {
		return nil
	}
	var kinds map[string]string
	if text := o.annotation(keyKinds); text != "" {
		// What is not what kai has written there says nothing.
		_ = json.Unmarshal([]byte(text), &kinds)
	}
	values := make(map[string]secrets.Value, len(o.data))
	for key, text := range o.data {
		values[nameOf(key)] = valueOf(kinds[key], text)
	}
	return values
}

// valueOf gives a text as the kind that is said, if it is one.
func valueOf(letter, text string) secrets.Value {
	if letter != "" {
		if v, err := secrets.Unpack([]byte(letter + text)); err == nil {
			// A list that somebody has edited may have spaces.
			if v, err = secrets.Of(v.Any()); err == nil {
				return v
			}
		}
	}
	return secrets.New(text)
}

// doc gives what a Secret holds as a path's.
func (o *object) doc(path secrets.Path) secrets.Doc {
	return secrets.Doc{Path: path, Values: o.values(), Version: o.version(), Time: o.time()}
}

// time is when somebody wrote last, as far as the API server tells.
func (o *object) time() time.Time {
	at, _ := time.Parse(time.RFC3339, o.text("creationTimestamp"))
	managers, _ := o.metadata["managedFields"].([]any)
	for _, manager := range managers {
		fields, _ := manager.(map[string]any)
		text, _ := fields["time"].(string)
		if t, err := time.Parse(time.RFC3339, text); err == nil && t.After(at) {
			at = t
		}
	}
	return at
}

// content is what a path is to hold, as a Secret has it.
type content struct {
	data  map[string]string // in base64
	kinds string
}

// encode gives a path's values as a Secret has them, or says that it cannot.
func encode(doc secrets.Doc) (content, error) {
	c := content{data: make(map[string]string, len(doc.Values))}
	kinds, size := map[string]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(doc.Values)) {
		key, err := dataKey(name)
		if err != nil {
			return c, err
		}
		text := doc.Values[name].Reveal()
		if size += len(text); size > maxValues {
			return c, cannot("keep large files elsewhere, or in a store such as sql or vault", "more than 1 MiB in %s, the bound of a Secret", doc.Path)
		}
		c.data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		if letter := kindLetters[doc.Values[name].Kind()]; letter != "" {
			kinds[key] = letter
		}
	}
	if len(kinds) > 0 {
		text, err := json.Marshal(kinds)
		if err != nil {
			return c, err
		}
		c.kinds = string(text)
	}
	if len(c.kinds) > maxKinds {
		return c, cannot("keep some of them as text", "so many values in %s that are no texts: their kinds fill the annotations", doc.Path)
	}
	return c, nil
}

// with gives the Secret that replaces this one, which may be nil.
func (o *object) with(path secrets.Path, namespace string, c content, id string) ([]byte, error) {
	fields := map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque"}
	metadata := map[string]any{"name": Name(path), "namespace": namespace}
	if o != nil {
		fields, metadata = maps.Clone(o.fields), maps.Clone(o.metadata)
	}
	labels, annotations := cloneMap(metadata["labels"]), cloneMap(metadata["annotations"])
	for key, name := range map[string]string{keyDeployment: path.Deployment, keyApp: path.App, keyScope: path.Scope} {
		value, whole := labelValue(name)
		labels[key] = value
		delete(annotations, key)
		if !whole {
			annotations[key] = name
		}
	}
	delete(annotations, keyKinds)
	if c.kinds != "" {
		annotations[keyKinds] = c.kinds
	}
	annotations[keyWrite] = id
	// Whoever takes the namespace's release away does not take the secrets.
	annotations["helm.sh/resource-policy"] = "keep"
	metadata["labels"], metadata["annotations"] = labels, annotations
	fields["metadata"], fields["data"] = metadata, c.data
	return json.Marshal(fields)
}

func cloneMap(field any) map[string]any {
	m, _ := field.(map[string]any)
	out := make(map[string]any, len(m)+3)
	maps.Copy(out, m)
	return out
}
