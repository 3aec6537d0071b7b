// Package file keeps secrets in a YAML file, which may stand in a repository:
//
//	apiVersion: kai/v1
//	recipients:
//	  - age1…                    # of whoever may read
//	apps:
//	  carts:
//	    secret: {mongodb_password: age:…}
//	  global:
//	    private: {LICENSE: …}
//
// A file holds one deployment, and answers for whichever it is asked, but for what
// is encrypted for another.
//
// Values keep their kinds: text, numbers, bools, lists and maps. In a file with
// recipients, what is written into scope secret is encrypted, each value by
// itself, and stands there as age: and base64 (without padding) of a file of age.
// What that holds begins with a line of JSON, ["kai/v1","DEPLOYMENT","APP","SCOPE",
// "KEY"], and then has the value as secrets.Pack gives it: a ciphertext that was
// moved to another key, or to the file of another deployment, is noticed. Older
// ones do not have the deployment, and open for any; Store.Reencrypt binds them.
// One by hand is opened by
//
//	base64 -d | age -d -i IDENTITY
//
// with the padding that base64 -d may want. The scopes public and private stay
// plain, as does everything in a file without recipients. age does not say who
// has encrypted: whoever may change the file may put in values of their own, and
// so a plain value in scope secret, written by hand, is read too; Store.Plain
// finds it and Store.Reencrypt encrypts it.
//
// No message shows a value, nor what might be one in a file with a mistake: apps,
// scopes and keys are named, and places.
package file

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// place is where a value stands inside of a deployment.
type place struct{ app, scope, name string }

// Provider is what a file holds. It never changes.
type Provider struct {
	values map[place]value
	keys   identities
	plain  []secrets.Entry
}

// value is a value as it stands in a file.
type value struct {
	secrets.Value
	sealed bool // it is the text of a ciphertext
	at     source.Origin
	path   string
}

// Open reads a file of secrets. All its mistakes are found at once, and the
// provider is nil where there are any. The file is within the bounds of package
// source. What is encrypted cannot be read, see OpenWith.
func Open(fsys fs.FS, path string) (*Provider, source.Findings) {
	return OpenWith(fsys, path, nil)
}

// OpenWith is Open with the identities that open what is encrypted; nil are none.
func OpenWith(fsys fs.FS, path string, with *Identities) (*Provider, source.Findings) {
	data, err := source.ReadFile(fsys, path, source.MaxFile)
	if err != nil {
		return nil, source.Findings{source.FileFinding(path, err)}
	}
	c, findings := parse(path, data)
	if len(findings) > 0 {
		return nil, findings
	}
	values, findings := c.values()
	if len(findings) > 0 {
		return nil, findings
	}
	return &Provider{values: values, keys: with.get(), plain: c.plain()}, nil
}

// Warnings gives what is not as it should be, and is read all the same: values of
// scope secret that are not encrypted though the file has recipients.
func (p *Provider) Warnings() source.Findings {
	var out source.Findings
	for _, e := range p.plain {
		out = append(out, source.Finding{
			Origin: e.Value.Origin, Path: e.Path, Code: "plain", Severity: source.Warning,
			Message: "stands there plain, though the file has recipients",
			Hint:    "helm kai secrets rotate-key encrypts it; who has seen the file knows the value",
		})
	}
	return out
}

// Get implements secrets.Provider. It fails where a value that is asked for does
// not open.
func (p *Provider) Get(_ context.Context, keys []secrets.Key) (map[secrets.Key]secrets.Value, error) {
	found := make(map[secrets.Key]secrets.Value, len(keys))
	var findings source.Findings
	for _, k := range keys {
		at := place{k.App, k.Scope, k.Name}
		v, ok := p.values[at]
		if !ok {
			continue
		}
		opened, err := v.open(k.Deployment, at, p.keys)
		findings = append(findings, err...)
		found[k] = opened
	}
	if len(findings) > 0 {
		return nil, findings.Sorted()
	}
	return found, nil
}

// content is a file as it stands there.
type content struct {
	entries    []secrets.Entry
	recipients []recipient
}

// parse reads a file of secrets.
func parse(file string, data []byte) (*content, source.Findings) {
	root, findings := source.ParseYAML(file, data)
	if len(findings) > 0 {
		return nil, secrets.Discreet(findings)
	}
	c := &content{}
	c.entries = secrets.ParseFile(root, []string{"recipients"}, &findings)
	c.recipients = parseRecipients(root.Get("recipients"), &findings)
	if len(findings) > 0 {
		return nil, findings.Sorted()
	}
	return c, nil
}

// isSealed says whether a value is meant as a ciphertext. Where the file encrypts, that
// is all that begins as one: a damaged one is never taken for a value.
func (c *content) isSealed(scope string, v *source.Value) bool {
	return secrets.IsAge(v) || len(c.recipients) > 0 && scope == secrets.Secret && v.Kind == source.String && strings.HasPrefix(v.Text, sealedPrefix)
}

// plain gives the entries of scope secret that are not encrypted though the file has
// recipients, sorted.
func (c *content) plain() []secrets.Entry {
	var out []secrets.Entry
	for _, e := range c.entries {
		if len(c.recipients) > 0 && e.Scope == secrets.Secret && !c.isSealed(e.Scope, e.Value) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b secrets.Entry) int { return strings.Compare(a.App+"\x00"+a.Name, b.App+"\x00"+b.Name) })
	return out
}

// values gives what the file holds.
func (c *content) values() (map[place]value, source.Findings) {
	out := make(map[place]value, len(c.entries))
	var findings source.Findings
	for _, e := range c.entries {
		v, err := secrets.OfYAML(e.Value)
		if err != nil {
			findings.Add("type", e.Value.Origin, e.Path, "write it as text, in quotes", "%s", err)
			continue
		}
		out[place{e.App, e.Scope, e.Name}] = value{v, c.isSealed(e.Scope, e.Value), e.Value.Origin, e.Path}
	}
	return out, findings
}
