package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// What Helm makes of a chart, and oras push and others of a folder.
const (
	helmConfig      = "application/vnd.cncf.helm.config.v1+json"
	helmChart       = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	helmChartOld    = "application/tar+gzip"
	fluxContent     = "application/vnd.cncf.flux.content.v1.tar+gzip"
	unpackMark      = "io.deis.oras.content.unpack"
	maxManifest     = 4 << 20 // bytes of a manifest, and of a page of tags
	maxTagPages     = 100
	maxTags         = 100_000
	artifactFormats = "helm push writes a chart, and oras push HOST/REPO:TAG FOLDER/ a folder"
)

// registryOrigin is an artifact in an OCI registry.
type registryOrigin struct {
	fetcher    *Fetcher
	source     Source
	repository *remote.Repository
}

func newRegistryOrigin(f *Fetcher, s Source) (*registryOrigin, error) {
	host, name, _ := strings.Cut(s.URL, "/")
	logins, err := f.registryLogins()
	if err != nil {
		return nil, err
	}
	return &registryOrigin{fetcher: f, source: s, repository: &remote.Repository{
		Client:           &auth.Client{Client: f.client, Credential: logins, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {"kai"}}},
		Reference:        registry.Reference{Registry: host, Repository: name},
		PlainHTTP:        f.allowsPlain(host) && !isLoopback(hostOnly(host)),
		MaxMetadataBytes: maxManifest,
		TagListMaxPages:  maxTagPages,
	}}, nil
}

func hostOnly(host string) string {
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// registryLogins gives who we are to registries.
func (f *Fetcher) registryLogins() (auth.CredentialFunc, error) {
	var stores []credentials.Store
	for _, path := range f.options.Registries {
		store, err := credentials.NewStore(path, credentials.StoreOptions{})
		if err != nil {
			return nil, &Error{Reason: Local, Message: fmt.Sprintf("the logins of registries in %s cannot be read", path), Cause: err}
		}
		stores = append(stores, store)
	}
	if len(stores) == 0 {
		return nil, nil
	}
	return credentials.Credential(credentials.NewStoreWithFallbacks(stores[0], stores[1:]...)), nil
}

// either does something with TLS, and on loopback without where there is none.
func (o *registryOrigin) either(do func() error) error {
	err := do()
	if errors.Is(err, http.ErrSchemeMismatch) && isLoopback(hostOnly(o.repository.Reference.Registry)) {
		o.repository.PlainHTTP = true
		err = do()
	}
	return err
}

func (o *registryOrigin) resolve(ctx context.Context) (string, error) {
	if o.source.Digest != "" {
		return o.source.Digest, nil
	}
	var resolved string
	err := o.either(func() error {
		tag, version := o.source.Ref, ""
		if o.source.Version != "" {
			var err error
			if version, err = o.newest(ctx); err != nil {
				return err
			}
			tag, version = strings.ReplaceAll(version, "+", "_"), version+"@"
		}
		digest, _, err := o.manifest(ctx, tag)
		resolved = version + digest
		return err
	})
	return resolved, err
}

// newest gives the highest version among the tags.
func (o *registryOrigin) newest(ctx context.Context) (string, error) {
	var versions []string
	err := o.repository.Tags(ctx, "", func(tags []string) error {
		if len(versions)+len(tags) > maxTags {
			return tooLarge("the repository has more tags than the bound of %d", maxTags)
		}
		for _, tag := range tags {
			versions = append(versions, strings.ReplaceAll(tag, "_", "+"))
		}
		return nil
	})
	if errors.Is(err, errdef.ErrTooManyPages) {
		err = tooLarge("the list of tags has more pages than the bound of %d", maxTagPages)
	}
	if err != nil {
		return "", err
	}
	i := highest(versions, o.source.Version)
	if i < 0 {
		return "", &Error{Reason: NotFound, Message: fmt.Sprintf("none of its %d tags is a version in %q", len(versions), o.source.Version), Hint: "a version before a release, such as 1.0.0-rc.1, is taken only if the range names one"}
	}
	return versions[i], nil
}

// manifest gets a manifest by its tag or digest.
func (o *registryOrigin) manifest(ctx context.Context, reference string) (string, []byte, error) {
	descriptor, body, err := o.repository.Manifests().FetchReference(ctx, reference)
	if errors.Is(err, errdef.ErrNotFound) {
		err = &Error{Reason: NotFound, Message: fmt.Sprintf("the registry has no %s there, or not for us", reference), Hint: "is it spelt right? if it was removed, helm kai upgrade resolves anew; helm registry login tells who you are"}
	}
	if err != nil {
		return "", nil, err
	}
	defer body.Close()
	if descriptor.Size < 0 || descriptor.Size > maxManifest {
		return "", nil, tooLarge("the manifest is larger than the bound of %s", bytesText(maxManifest))
	}
	data, err := content.ReadAll(body, descriptor)
	if err != nil {
		return "", nil, err
	}
	if descriptor.MediaType != ocispec.MediaTypeImageManifest {
		return "", nil, refused("is a %s, and only %s is taken", descriptor.MediaType, ocispec.MediaTypeImageManifest)
	}
	return string(descriptor.Digest), data, nil
}

func (o *registryOrigin) fetch(ctx context.Context, resolved string) (*tree, error) {
	data, part, err := o.archive(ctx, resolved[strings.LastIndex(resolved, "@")+1:])
	if err != nil {
		return nil, err
	}
	t, err := unpack(data, part, o.fetcher.options.Limits)
	if err != nil {
		return nil, err
	}
	if t = t.sub(o.source.Dir); len(t.nodes) == 1 {
		return nil, &Error{Reason: NotFound, Message: fmt.Sprintf("the artifact has no files below %q", o.source.Dir), Hint: "what follows // is the path from the artifact's root"}
	}
	return t, nil
}

// archive gets the one layer that is a tree, and says where in it.
func (o *registryOrigin) archive(ctx context.Context, reference string) (data []byte, part below, err error) {
	err = o.either(func() error {
		_, text, err := o.manifest(ctx, reference)
		if err != nil {
			return err
		}
		var manifest ocispec.Manifest
		if err := json.Unmarshal(text, &manifest); err != nil {
			return &Error{Reason: Refused, Message: "the manifest is no JSON of a manifest", Cause: err}
		}
		layer, where, err := choose(manifest)
		if err != nil {
			return err
		}
		part = where
		data, err = o.blob(ctx, layer)
		return err
	})
	return data, part, err
}

func (o *registryOrigin) blob(ctx context.Context, layer ocispec.Descriptor) ([]byte, error) {
	switch {
	case !isDigest(string(layer.Digest)) || layer.Size < 0:
		return nil, refused("a layer has no digest of sha256, or no size")
	case layer.Size > o.fetcher.options.Limits.Download:
		return nil, tooLarge("the artifact is larger than the bound of %s", bytesText(o.fetcher.options.Limits.Download))
	}
	body, err := o.repository.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return content.ReadAll(io.LimitReader(body, layer.Size+1), layer)
}

// choose finds the layer that is the tree.
func choose(m ocispec.Manifest) (ocispec.Descriptor, below, error) {
	var none ocispec.Descriptor
	switch m.Config.MediaType {
	case helmConfig:
		for _, layer := range m.Layers {
			if layer.MediaType == helmChart || layer.MediaType == helmChartOld {
				return layer, below{single: true}, nil
			}
		}
		return none, below{}, refused("is a chart without its archive, a layer of %s", helmChart)
	case ocispec.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
		return none, below{}, &Error{Reason: Refused, Message: "is a container image", Hint: artifactFormats}
	}
	if len(m.Layers) != 1 {
		return none, below{}, &Error{Reason: Refused, Message: fmt.Sprintf("has %d layers, and a folder is one", len(m.Layers)), Hint: artifactFormats}
	}
	layer := m.Layers[0]
	if layer.MediaType != ocispec.MediaTypeImageLayerGzip && layer.MediaType != fluxContent {
		return none, below{}, &Error{Reason: Refused, Message: fmt.Sprintf("has a layer of %q, and a folder is %s", layer.MediaType, ocispec.MediaTypeImageLayerGzip), Hint: artifactFormats}
	}
	title := strings.TrimSuffix(layer.Annotations[ocispec.AnnotationTitle], "/")
	if layer.Annotations[unpackMark] != "true" || title == "." {
		title = ""
	}
	return layer, below{folder: title}, nil
}
