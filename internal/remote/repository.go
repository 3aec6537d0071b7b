package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// repositoryOrigin is a chart in a chart repository.
type repositoryOrigin struct {
	fetcher *Fetcher
	source  Source
	login   *login
	entries []entry // of the chart, nil until the index was read
}

// entry is a version of a chart in an index.
type entry struct {
	Version string   `yaml:"version"`
	URLs    []string `yaml:"urls"`
	Digest  string   `yaml:"digest"`
}

func newRepositoryOrigin(f *Fetcher, s Source) (*repositoryOrigin, error) {
	who, err := f.repositoryLogin(s.URL)
	if err != nil {
		return nil, err
	}
	return &repositoryOrigin{fetcher: f, source: s, login: who}, nil
}

// repositoryLogin gives who we are to a chart repository, nil for nobody.
func (f *Fetcher) repositoryLogin(address string) (*login, error) {
	if f.options.Repositories == "" {
		return nil, nil
	}
	data, err := os.ReadFile(f.options.Repositories)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var file struct {
		Repositories []struct {
			URL, Username, Password string
		}
	}
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil {
		// What a parser says of the file may show what stands in it.
		return nil, &Error{Reason: Local, Message: fmt.Sprintf("the logins of chart repositories in %s cannot be read", f.options.Repositories)}
	}
	for _, r := range file.Repositories {
		if r.Username != "" && strings.TrimRight(r.URL, "/") == address {
			return &login{r.Username, r.Password}, nil
		}
	}
	return nil, nil
}

// load reads the index, once.
func (o *repositoryOrigin) load(ctx context.Context) error {
	if o.entries != nil {
		return nil
	}
	data, err := o.fetcher.get(ctx, o.source.URL+"/index.yaml", o.login, "the repository's index", o.fetcher.options.Limits.Index)
	if err != nil {
		return err
	}
	var index struct {
		APIVersion string               `yaml:"apiVersion"`
		Entries    map[string]yaml.Node `yaml:"entries"`
	}
	if err := yaml.Unmarshal(data, &index); err != nil {
		return &Error{Reason: Refused, Message: "the repository's index is no YAML of one", Cause: err}
	}
	if index.APIVersion == "" {
		return &Error{Reason: Refused, Message: "the repository's index has no apiVersion", Hint: "is it the address of a chart repository? index.yaml follows it"}
	}
	node, ok := index.Entries[o.source.Chart]
	if !ok {
		return &Error{Reason: NotFound, Message: fmt.Sprintf("none of the repository's %d charts is named %q", len(index.Entries), o.source.Chart)}
	}
	if err := node.Decode(&o.entries); err != nil {
		return &Error{Reason: Refused, Message: "the repository's index is no YAML of one", Cause: err}
	}
	return nil
}

func (o *repositoryOrigin) resolve(ctx context.Context) (string, error) {
	if err := o.load(ctx); err != nil {
		return "", err
	}
	versions := make([]string, len(o.entries))
	for i, e := range o.entries {
		versions[i] = e.Version
	}
	i := highest(versions, o.source.Version)
	if i < 0 {
		return "", &Error{Reason: NotFound, Message: fmt.Sprintf("none of the chart's %d versions is in %q", len(versions), o.source.Version), Hint: "a version before a release, such as 1.0.0-rc.1, is taken only if the range names one"}
	}
	digest := o.entries[i].digest()
	if digest == "" {
		data, err := o.archive(ctx, o.entries[i])
		if err != nil {
			return "", err
		}
		digest = digestOf(data)
	}
	return o.entries[i].Version + "@" + digest, nil
}

// digest gives the archive's digest, "" if the index has none.
func (e entry) digest() string {
	digest := "sha256:" + strings.TrimPrefix(e.Digest, "sha256:")
	if !isDigest(digest) {
		return ""
	}
	return digest
}

func (o *repositoryOrigin) fetch(ctx context.Context, resolved string) (*tree, error) {
	if err := o.load(ctx); err != nil {
		return nil, err
	}
	version, digest, _ := cutLast(resolved, "@")
	for _, e := range o.entries {
		if e.Version != version {
			continue
		}
		if found := e.digest(); found != "" && found != digest {
			return nil, &Error{Reason: Mismatch, Message: fmt.Sprintf("the version %s was replaced: its archive is %s, and not %s as pinned", version, found, digest), Hint: "find out why; if it may be so, helm kai upgrade pins what it is now, and shows the effect"}
		}
		data, err := o.archive(ctx, e)
		if err != nil {
			return nil, err
		}
		if found := digestOf(data); found != digest {
			return nil, &Error{Reason: Mismatch, Message: fmt.Sprintf("the archive of version %s is %s, and not %s", version, found, digest), Hint: "something on the way changes it, or the repository is damaged"}
		}
		return o.unpack(data)
	}
	return nil, &Error{Reason: NotFound, Message: fmt.Sprintf("the repository has version %s no more", version), Hint: "helm kai upgrade resolves anew"}
}

// cutLast cuts a text around the last separator.
func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

func (o *repositoryOrigin) unpack(data []byte) (*tree, error) {
	t, err := unpack(data, below{single: true}, o.fetcher.options.Limits)
	if err != nil {
		return nil, err
	}
	if _, err := t.find("open", "Chart.yaml"); err != nil {
		return nil, refused("the archive is no chart: it has no Chart.yaml")
	}
	return t, nil
}

// archive downloads a version's archive, from the first address that the index
// gives for it.
func (o *repositoryOrigin) archive(ctx context.Context, e entry) ([]byte, error) {
	if len(e.URLs) == 0 {
		return nil, refused("the repository's index has no address for version %s", e.Version)
	}
	if strings.HasPrefix(e.URLs[0], "oci://") {
		return o.fromRegistry(ctx, e.URLs[0])
	}
	base, err := url.Parse(o.source.URL + "/")
	if err != nil {
		return nil, err
	}
	at, err := base.Parse(e.URLs[0])
	if err != nil || at.User != nil || at.Scheme != "https" && at.Scheme != "http" {
		return nil, refused("the repository's index gives an address for version %s that is not taken", e.Version)
	}
	if base.Scheme == "https" && at.Scheme != "https" {
		return nil, refused("the repository's index leads from TLS to %s in the clear", at.Host)
	}
	who := o.login
	if !sameServer(base, at) {
		who = nil
	}
	return o.fetcher.get(ctx, at.String(), who, "the chart's archive", o.fetcher.options.Limits.Download)
}

// fromRegistry gets an archive that the index says lies in a registry.
func (o *repositoryOrigin) fromRegistry(ctx context.Context, text string) ([]byte, error) {
	s, err := Parse(text)
	if err != nil || s.Version != "" || s.Dir != "" {
		return nil, refused("the repository's index gives an address of a registry that is not taken")
	}
	registry, err := newRegistryOrigin(o.fetcher, s)
	if err != nil {
		return nil, err
	}
	reference := s.Digest
	if reference == "" {
		reference = s.Ref
	}
	data, _, err := registry.archive(ctx, reference)
	return data, err
}
