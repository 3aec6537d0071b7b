package generator

import (
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry"

	"github.com/helm-kai/helm-kai/internal/source"
)

// maxImageName is what registries take of an image's name, its host left out.
const maxImageName = 255

// imageName holds the name of an image to the grammar of references, as registries
// and nodes read them. A mistake stands at its own field; a host may be the first part
// of the repository as well.
func (g *generation) imageName(image *source.Value, path string) {
	host, repository := image.Get("registry"), image.Get("repository")
	for _, part := range []*source.Value{host, repository} {
		if part != nil && !part.IsScalar() || g.in.Resolved.Mixed[part] != nil {
			return // which is said elsewhere
		}
	}
	hostPath := path + ".registry"
	name, rest := host.Str(), repository.Str()
	if name == "" {
		host, hostPath = repository, path+".repository"
		if first, others, ok := strings.Cut(rest, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
			name, rest = first, others
		}
	}
	name, folder, below := strings.Cut(name, "/")
	reference := registry.Reference{Registry: name}
	reference.Repository = folder
	if message, hint := hostMistake(host.Str(), reference); name != "" && message != "" {
		g.fail("image", host.Origin, hostPath, hint, "%s", message)
		if host == repository {
			return
		}
	} else if below && reference.ValidateRepository() != nil {
		message, hint := nameMistake(folder, "")
		g.fail("image", host.Origin, hostPath, hint, "%s", message)
	}
	reference.Repository = rest
	if reference.ValidateRepository() != nil || len(rest) > maxImageName {
		message, hint := nameMistake(rest, image.Get("tag").Str())
		g.fail("image", repository.Origin, path+".repository", hint, "%s", message)
	}
}

// hostMistake words what is wrong with the host of a registry; "" where nothing is.
func hostMistake(written string, reference registry.Reference) (message, hint string) {
	switch {
	case strings.Contains(written, "://"):
		_, rest, _ := strings.Cut(written, "://")
		return fmt.Sprintf("an image has no scheme, and %q begins with one", written), fmt.Sprintf("write %q", rest)
	case reference.ValidateRegistry() != nil || strings.Contains(reference.Registry, "_"): // which a node refuses
		return fmt.Sprintf("%q is no host", reference.Registry), "write a host, and its port where needed: registry.example.com:5000"
	}
	return "", ""
}

// nameMistake words what is wrong with a name that registries do not take. tag is the
// one that is given in its own field.
func nameMistake(name, tag string) (message, hint string) {
	small := strings.ToLower(name)
	before, inName, tagged := strings.Cut(name, ":")
	_, digest, pinned := strings.Cut(name, "@")
	switch {
	case strings.Contains(name, "://"):
		return fmt.Sprintf("an image has no scheme, and %q begins with one", name), "write the host as registry, and what follows as repository"
	case pinned:
		return fmt.Sprintf("%q has a digest in it", name), fmt.Sprintf("write it as digest: %q", digest)
	case tagged && tag != "":
		return fmt.Sprintf("%q has a tag in it, and tag is given as well", name), fmt.Sprintf("write repository: %s, and one tag", before)
	case tagged:
		return fmt.Sprintf("%q has a tag in it", name), fmt.Sprintf("write repository: %s, tag: %q", before, inName)
	case strings.ContainsAny(name, " \t\n"):
		return fmt.Sprintf("%q has a space in it", name), "leave it out"
	case name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return fmt.Sprintf("%q has an empty part", name), "write parts with one / between them, and none at the ends"
	case small != name && (registry.Reference{Repository: small}).ValidateRepository() == nil:
		return fmt.Sprintf("%q has capital letters, which no registry takes", name), fmt.Sprintf("write %q", small)
	case len(name) > maxImageName:
		return fmt.Sprintf("the name has %d characters, and may have %d", len(name), maxImageName), "shorten it"
	}
	return fmt.Sprintf("%q is no name of an image", name), "use a to z, 0 to 9, and between these ., _ and -; parts stand behind a / each"
}
