package remote

import (
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
)

// Kind is how a source is reached.
type Kind string

// The kinds of sources.
const (
	Git        Kind = "git"        // a folder of a git repository
	OCI        Kind = "oci"        // an artifact in a registry
	Repository Kind = "repository" // a chart in a chart repository
)

// Source says where a tree of files is. Two that are the same are equal. It holds
// no credentials.
type Source struct {
	Kind Kind
	// URL is for Git what git takes; for OCI HOST/REPOSITORY; for Repository the
	// address of the folder that has index.yaml.
	URL string
	// Dir is the folder in the repository or in the artifact, "" for all of it.
	Dir string
	// Ref is for Git a branch, a tag or a commit, "" for the default branch; for OCI
	// a tag, as registries write it.
	Ref string
	// Digest is for OCI that of the manifest, where the source itself names it. It
	// counts for more than the tag.
	Digest string
	// Chart is the name of a chart in a Repository.
	Chart string
	// Version is which versions are taken, of a Repository's chart or of an OCI
	// repository's tags: a constraint as in Chart.yaml, of which the highest counts.
	Version string
}

// forms are what Parse takes, for hints.
const forms = "git+https://HOST/REPO.git//DIR?ref=REF, git@HOST:ORG/REPO.git//DIR?ref=REF, git+ssh://…, git+file:///PATH, oci://HOST/REPO:TAG//DIR"

const withoutLogin = "leave user and password out: git has credential helpers and ssh keys; registries have docker login or helm registry login; chart repositories have helm repo add"

// maxText bounds a source's text.
const maxText = 2000

func invalid(hint, format string, args ...any) error {
	return &Error{Reason: Invalid, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// IsRemote says whether a text is meant to be a source of this package, and not a
// name or a path.
func IsRemote(text string) bool {
	return strings.Contains(text, "://") || shellForm.MatchString(text)
}

// shellForm is USER@HOST:PATH, as ssh's own commands write it.
var shellForm = regexp.MustCompile(`^[^/@\s]+@[^/@:\s]+:`)

// Parse reads a source:
//
//	git+https://HOST/REPO.git//DIR?ref=REF     also http, ssh and file in place of https
//	https://HOST/REPO.git//DIR?ref=REF         the same, where .git says it is one
//	git@HOST:ORG/REPO.git//DIR?ref=REF         ssh, as git writes it
//	oci://HOST/REPO:TAG@sha256:…//DIR          TAG or digest, or both
//	oci://HOST/REPO//DIR?version=CONSTRAINT    the highest version among the tags
//	chart+https://HOST/PATH//NAME?version=CONSTRAINT
//
// //DIR and ?ref= may be left out. The last form is what Chart gives. Nothing is
// percent-decoded. Errors name the mistake, and never a user or password.
func Parse(text string) (Source, error) {
	switch {
	case text == "":
		return Source{}, invalid("write one of "+forms, "the source is empty")
	case len(text) > maxText:
		return Source{}, invalid("", "the source is longer than the bound of %d bytes", maxText)
	case !utf8.ValidString(text), strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return Source{}, invalid("", "the source has a character in it that cannot be printed")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || shellForm.MatchString(text) {
		return parseShell(text)
	}
	switch scheme {
	case "git+https", "git+http", "git+ssh", "git+file", "ssh":
		return parseGit(strings.TrimPrefix(scheme, "git+"), rest)
	case "https", "http":
		if address, _ := cut(rest); strings.HasSuffix(address, ".git") {
			return parseGit(scheme, rest)
		}
		if err := noLogin(authority(rest)); err != nil {
			return Source{}, err
		}
		return Source{}, invalid("write git+"+scheme+"://… for a git repository, and {repository, name, version} for a chart repository", "an address of HTTP alone does not say what it is")
	case "file":
		return Source{}, invalid("write git+file:///PATH for a git repository, and for a folder its path", "file:// does not say what it is")
	case "oci":
		return parseOCI(rest)
	case "chart+https", "chart+http":
		return parseChart(strings.TrimPrefix(scheme, "chart+"), rest)
	}
	return Source{}, invalid("write one of "+forms, "sources of this form are not known")
}

// cut takes the address, without //DIR and ?QUERY.
func cut(rest string) (address, query string) {
	rest, query, _ = strings.Cut(rest, "?")
	address, _, _ = strings.Cut(rest, "//")
	return strings.TrimSuffix(address, "/"), query
}

func authority(rest string) string {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// noLogin refuses a host that has a user before it.
func noLogin(authority string) error {
	if strings.Contains(authority, "@") {
		return invalid(withoutLogin, "the source has a user or a password in it")
	}
	return nil
}

// parameter reads ?NAME=VALUE, and nothing else.
func parameter(rest, name string) (before, value string, err error) {
	before, query, found := strings.Cut(rest, "?")
	if strings.Contains(before, "#") {
		return "", "", invalid("the revision follows ?ref=", "the source has a # in it")
	}
	if !found {
		return before, "", nil
	}
	value, ok := strings.CutPrefix(query, name+"=")
	if !ok {
		return "", "", invalid("", "of what may follow a ?, only %s= is known here", name)
	}
	if value == "" {
		return "", "", invalid("leave ?"+name+"= out", "?%s= has no value", name)
	}
	return before, value, nil
}

func parseGit(scheme, rest string) (Source, error) {
	user := ""
	if host := authority(rest); scheme == "ssh" {
		if i := strings.LastIndex(host, "@"); i >= 0 {
			if user = host[:i]; !sshUser.MatchString(user) {
				return Source{}, invalid(withoutLogin, "the source has a password in it, or a user that is none")
			}
			rest = rest[i+1:]
			user += "@"
		}
	} else if err := noLogin(host); err != nil {
		return Source{}, err
	}
	rest, ref, err := parameter(rest, "ref")
	if err != nil {
		return Source{}, err
	}
	address, dir, _ := strings.Cut(rest, "//")
	host, path, _ := strings.Cut(address, "/")
	if scheme == "file" {
		if host != "" {
			return Source{}, invalid("three slashes: git+file:///PATH//DIR?ref=REF", "git+file:// has no host, but a path that begins with /")
		}
	} else if host, err = parseHost(host, map[string]string{"https": "443", "http": "80", "ssh": "22"}[scheme]); err != nil {
		return Source{}, err
	}
	if path, err = parsePath(path); err != nil {
		return Source{}, err
	}
	return gitSource(scheme+"://"+user+host+"/"+path, dir, ref)
}

// sshUser is who logs in, without a password.
var sshUser = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

func gitSource(url, dir, ref string) (Source, error) {
	dir, err := parseDir(dir)
	if err != nil {
		return Source{}, err
	}
	if err := checkRef(ref); err != nil {
		return Source{}, err
	}
	return Source{Kind: Git, URL: url, Dir: dir, Ref: ref}, nil
}

// parseShell reads USER@HOST:PATH.
func parseShell(text string) (Source, error) {
	user, rest, ok := strings.Cut(text, "@")
	if !ok || !shellForm.MatchString(text) {
		return Source{}, invalid("write one of "+forms, "sources of this form are not known")
	}
	if !sshUser.MatchString(user) {
		return Source{}, invalid(withoutLogin, "the source has a password in it, or a user that is none")
	}
	rest, ref, err := parameter(rest, "ref")
	if err != nil {
		return Source{}, err
	}
	address, dir, _ := strings.Cut(rest, "//")
	host, path, _ := strings.Cut(address, ":")
	if host, err = parseHost(host, ""); err != nil {
		return Source{}, err
	}
	slash := ""
	if strings.HasPrefix(path, "/") {
		slash, path = "/", path[1:]
	}
	if path, err = parsePath(path); err != nil {
		return Source{}, err
	}
	return gitSource(user+"@"+host+":"+slash+path, dir, ref)
}

var (
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$`)
	hostPort = regexp.MustCompile(`^(.*?)(?::([0-9]{1,5}))?$`)
)

// parseHost checks HOST or HOST:PORT, and leaves the default port out.
func parseHost(text, defaultPort string) (string, error) {
	parts := hostPort.FindStringSubmatch(strings.ToLower(text))
	host, port := parts[1], parts[2]
	inner, isBracketed := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case isBracketed && closed && strings.Contains(inner, ":") && net.ParseIP(inner) != nil:
	case hostName.MatchString(host):
	case host == "":
		return "", invalid("write one of "+forms, "the source names no host")
	default:
		return "", invalid("write one of "+forms, "%q is no host", host)
	}
	if port == "" {
		return host, nil
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 {
		return "", invalid("", "%q is no port", port)
	}
	if port = strconv.Itoa(number); port == defaultPort {
		return host, nil
	}
	return host + ":" + port, nil
}

var (
	segment = regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+$`)
	escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// parsePath checks the path of an address, which stays as it is written.
func parsePath(path string) (string, error) {
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return "", invalid("write one of "+forms, "the source has no path after its host")
	}
	if strings.HasPrefix(path, "-") {
		return "", invalid("", "the path in the source begins with -")
	}
	for _, part := range strings.Split(path, "/") {
		bad := !segment.MatchString(part) || part == "." || part == ".."
		for _, code := range escaped.FindAllString(part, -1) {
			// What is written as a code cannot be what decides where the path leads.
			value, _ := strconv.ParseUint(code[1:], 16, 8)
			bad = bad || value < ' ' || value == 0x7f || strings.ContainsRune(`/\.`, rune(value))
		}
		if bad {
			return "", invalid("a space is written %20; the folder in the repository follows //", "%q cannot be part of the path", part)
		}
	}
	return escaped.ReplaceAllStringFunc(path, strings.ToUpper), nil
}

// parseDir checks //DIR.
func parseDir(dir string) (string, error) {
	if dir = strings.TrimSuffix(dir, "/"); dir == "" {
		return "", nil
	}
	if !fs.ValidPath(dir) || dir == "." || strings.Contains(dir, `\`) {
		return "", invalid("what follows // is the path of a folder, from the root and without . and ..", "%q is no folder", dir)
	}
	if strings.ContainsAny(dir, "%?#") {
		return "", invalid("write the folder's name as it is", "%q has a character in it that folders here cannot have", dir)
	}
	return dir, nil
}

// checkRef holds the rules of git check-ref-format.
func checkRef(ref string) error {
	if ref == "" {
		return nil
	}
	bad := strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "/") || strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") ||
		ref == "@" || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.Contains(ref, "//") || strings.ContainsAny(ref, " ~^:?*[\\") || len(ref) > 250
	for _, part := range strings.Split(ref, "/") {
		bad = bad || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	switch {
	case bad:
		return invalid("write a branch, a tag or a whole commit", "%q is no name of a branch, tag or commit", ref)
	case strings.ContainsAny(ref, "%&"):
		return invalid("write the name as it is, and nothing after it", "%q has a %% or & in it", ref)
	}
	return nil
}

var (
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

func parseOCI(rest string) (Source, error) {
	host := authority(rest)
	if err := noLogin(host); err != nil {
		return Source{}, err
	}
	rest, version, err := parameter(rest, "version")
	if err != nil {
		return Source{}, err
	}
	address, dir, _ := strings.Cut(rest, "//")
	address, digest, hasDigest := strings.Cut(address, "@")
	_, name, _ := strings.Cut(address, "/")
	name, tag, hasTag := strings.Cut(name, ":")
	if host, err = parseHost(host, "443"); err != nil {
		return Source{}, err
	}
	// Helm writes the + of a version so, which tags cannot have.
	tag = strings.ReplaceAll(tag, "+", "_")
	switch {
	case !repositoryName.MatchString(name):
		return Source{}, invalid("oci://HOST/REPO:TAG, in lower case", "%q is no repository's name", name)
	case hasDigest && !isDigest(digest):
		return Source{}, invalid("a digest is sha256: and 64 hexadecimal digits", "what follows @ is no digest")
	case hasTag && !tagName.MatchString(tag):
		return Source{}, invalid("oci://HOST/REPO:TAG", "%q is no tag", tag)
	case version != "" && (hasTag || hasDigest):
		return Source{}, invalid("", "the source has a version beside a tag or digest")
	case version == "" && !hasTag && !hasDigest:
		return Source{}, invalid("add :TAG, @sha256:… or ?version=CONSTRAINT", "the source has no tag")
	}
	if version != "" {
		if version, err = parseConstraint(version); err != nil {
			return Source{}, err
		}
	}
	dir, err = parseDir(dir)
	return Source{Kind: OCI, URL: host + "/" + name, Dir: dir, Ref: tag, Digest: digest, Version: version}, err
}

// parseConstraint checks a range of versions.
func parseConstraint(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "*", nil
	}
	if len(text) > 200 {
		return "", invalid("", "the version is longer than the bound of 200 bytes")
	}
	if _, err := semver.NewConstraint(text); err != nil {
		return "", invalid("write a version, or a range such as ^1.2 or >=1.2.0 <2.0.0", "%q is no range of versions", text)
	}
	return text, nil
}

var chartName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,249}$`)

// Chart gives the source of a chart that is named as in Chart.yaml: by the
// repository's address, https:// or oci://, the chart's name, and a version or a
// range of versions, "" for the newest.
func Chart(repository, name, version string) (Source, error) {
	version, err := parseConstraint(version)
	if err != nil {
		return Source{}, err
	}
	if !chartName.MatchString(name) {
		return Source{}, invalid("", "%q is no name of a chart", name)
	}
	scheme, rest, ok := strings.Cut(repository, "://")
	switch {
	case !ok:
		return Source{}, invalid("write its address: https://… or oci://…; an alias is known on one machine only", "the repository has no address")
	case strings.ContainsAny(rest, "?#"):
		return Source{}, invalid("", "the repository's address has a ? or # in it")
	case strings.Contains(strings.TrimSuffix(rest, "/"), "//"):
		return Source{}, invalid("", "the repository's address has // in it")
	}
	rest = strings.TrimRight(rest, "/")
	switch scheme {
	case "https", "http":
		return Parse("chart+" + scheme + "://" + rest + "//" + name + "?version=" + version)
	case "oci":
		if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err == nil {
			return Parse("oci://" + rest + "/" + name + ":" + version)
		}
		return Parse("oci://" + rest + "/" + name + "?version=" + version)
	}
	return Source{}, invalid("chart repositories are reached by https:// and oci://; for a folder name its path", "repositories of this form are not known")
}

func parseChart(scheme, rest string) (Source, error) {
	if err := noLogin(authority(rest)); err != nil {
		return Source{}, err
	}
	rest, version, err := parameter(rest, "version")
	if err != nil {
		return Source{}, err
	}
	if version, err = parseConstraint(version); err != nil {
		return Source{}, err
	}
	address, name, _ := strings.Cut(rest, "//")
	if !chartName.MatchString(name) {
		return Source{}, invalid("chart+https://HOST/PATH//NAME?version=CONSTRAINT", "%q is no name of a chart", name)
	}
	host, path, _ := strings.Cut(address, "/")
	if host, err = parseHost(host, map[string]string{"https": "443", "http": "80"}[scheme]); err != nil {
		return Source{}, err
	}
	url := scheme + "://" + host
	if path = strings.TrimSuffix(path, "/"); path != "" {
		if path, err = parsePath(path); err != nil {
			return Source{}, err
		}
		url += "/" + path
	}
	return Source{Kind: Repository, URL: url, Chart: name, Version: version}, nil
}

// String gives the source's text, of which Parse makes the same source.
func (s Source) String() string {
	var text string
	switch s.Kind {
	case Git:
		text = s.URL
		if strings.Contains(text, "://") {
			text = "git+" + text
		}
		text += with("//", s.Dir) + with("?ref=", s.Ref)
	case OCI:
		text = "oci://" + s.URL + with(":", s.Ref) + with("@", s.Digest) + with("//", s.Dir) + with("?version=", s.Version)
	case Repository:
		text = "chart+" + s.URL + "//" + s.Chart + "?version=" + s.Version
	}
	return text
}

func with(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// highest gives the place of the version that a constraint takes: one of the very
// same text, or else the highest. Of versions that are equal but for their build,
// it is the one that sorts last. It is -1 if there is none.
func highest(versions []string, constraint string) int {
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return -1
	}
	best, bestVersion := -1, (*semver.Version)(nil)
	for i, text := range versions {
		if text == constraint {
			return i
		}
		v, err := semver.NewVersion(text)
		if err != nil || !c.Check(v) {
			continue
		}
		if best < 0 || v.GreaterThan(bestVersion) || v.Equal(bestVersion) && text > versions[best] {
			best, bestVersion = i, v
		}
	}
	return best
}
