package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// sealedPrefix stands before the base64 of a ciphertext.
const sealedPrefix = "age:"

// ageHeader begins every file of age of the version that there is.
const ageHeader = "age-encryption.org/v1"

// format is the first word of what is encrypted.
const format = "kai/v1"

// identities gives private keys. Behind a function, no printer meets them.
type identities func() []age.Identity

// Identities are the private keys that open what is encrypted.
type Identities struct{ keys identities }

// get gives the keys, and none for nil.
func (i *Identities) get() identities {
	if i == nil {
		return func() []age.Identity { return nil }
	}
	return i.keys
}

// ParseIdentities reads private keys as `age-keygen` writes them, one a line
// beside comments, or an SSH key (ed25519 or RSA, without a passphrase) in PEM.
// from names where the text is from. An empty text gives nil. No error quotes the
// text.
func ParseIdentities(from, text string) (*Identities, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var keys []age.Identity
	if strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		key, err := agessh.ParseIdentity([]byte(text))
		var locked *ssh.PassphraseMissingError
		switch {
		case errors.As(err, &locked):
			return nil, fmt.Errorf("%s: the SSH key has a passphrase\n  hint: give an age identity: age-keygen", from)
		case err != nil:
			return nil, fmt.Errorf("%s: the SSH key is none that age takes\n  hint: ed25519 or RSA, in PEM; better an age identity: age-keygen", from)
		}
		keys = append(keys, key)
	} else {
		for n, line := range strings.Split(text, "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			key, err := age.ParseIdentities(strings.NewReader(line))
			if err != nil {
				return nil, fmt.Errorf("%s: line %d is no age identity\n  hint: it is a line AGE-SECRET-KEY-1…, as age-keygen prints it", from, n+1)
			}
			keys = append(keys, key...)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: there are only comments, and no age identity\n  hint: it is a line AGE-SECRET-KEY-1…, as age-keygen prints it", from)
	}
	return &Identities{func() []age.Identity { return keys }}, nil
}

// recipient is whoever may read a file.
type recipient struct {
	text string
	key  age.Recipient
}

// parseRecipient reads a public key. Its error does not quote the text: it may be
// a private key that was put there by mistake.
func parseRecipient(text string) (r recipient, err error) {
	r.text = strings.Join(strings.Fields(text), " ")
	switch {
	case strings.HasPrefix(r.text, "age1pq1"):
		r.key, err = age.ParseHybridRecipient(r.text)
	case strings.HasPrefix(r.text, "age1"):
		r.key, err = age.ParseX25519Recipient(r.text)
	case strings.HasPrefix(r.text, "ssh-"):
		r.key, err = agessh.ParseRecipient(r.text)
	default:
		err = errors.New("unknown")
	}
	if err != nil {
		return recipient{}, errors.New("is no recipient of age\n  hint: it is the public key age1…, as age-keygen prints it, or that of an SSH key (ssh-ed25519 …, ssh-rsa …)")
	}
	return r, nil
}

// same says whether two recipients are one: what an SSH key has for a comment is
// not a part of it.
func (r recipient) same(other recipient) bool {
	a, b := strings.Fields(r.text), strings.Fields(other.text)
	return slices.Equal(a[:min(2, len(a))], b[:min(2, len(b))])
}

// parseRecipients reads the recipients of a file; nil are none.
func parseRecipients(list *source.Value, findings *source.Findings) []recipient {
	if list.IsNull() {
		return nil
	}
	if list.Kind != source.List {
		findings.Add("type", list.Origin, "recipients", "write recipients: [age1…]", "must be a list, and is %s", list.Kind)
		return nil
	}
	var out []recipient
	for i, item := range list.Items {
		path := fmt.Sprintf("recipients[%d]", i)
		r, err := parseRecipient(item.Str())
		if err != nil {
			message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
			findings.Add("recipient", item.Origin, path, hint, "%s", message)
			continue
		}
		if slices.ContainsFunc(out, r.same) {
			findings.Add("recipient", item.Origin, path, "keep one of the two", "the recipient stands here twice")
			continue
		}
		out = append(out, r)
	}
	return out
}

// seal encrypts a value for its place in a deployment.
func seal(deployment string, at place, v secrets.Value, to []recipient) (secrets.Value, error) {
	keys := make([]age.Recipient, len(to))
	for i, r := range to {
		keys[i] = r.key
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, keys...)
	if err != nil {
		return secrets.Value{}, err
	}
	head, err := json.Marshal([]string{format, deployment, at.app, at.scope, at.name})
	if err != nil {
		return secrets.Value{}, err
	}
	// What is written into memory does not fail.
	_, _ = w.Write(append(append(head, '\n'), secrets.Pack(v)...))
	if err := w.Close(); err != nil {
		return secrets.Value{}, err
	}
	return secrets.New(sealedPrefix + base64.RawStdEncoding.EncodeToString(out.Bytes())), nil
}

// The reasons why a value does not open.
var (
	errNoIdentity    = errors.New("is encrypted, and no age identity is given")
	errOtherIdentity = errors.New("is encrypted for others: no age identity that is given opens it")
	errDamaged       = errors.New("is encrypted, and was damaged")
)

// open gives what a value of a file holds, if it belongs to a deployment; "" is any.
func (v value) open(deployment string, at place, keys identities) (secrets.Value, source.Findings) {
	opened, bound, findings := v.openBound(at, keys)
	if len(findings) == 0 && bound != "" && deployment != "" && bound != deployment {
		findings.Add("sealed", v.at, v.path, "where the two are one, name it in the context: secrets: {deployment: "+bound+"}; else set the value anew",
			"is encrypted for the deployment %s, and is asked for by %s", bound, deployment)
		return secrets.Value{}, findings
	}
	return opened, findings
}

// openBound gives what a value of a file holds, and the deployment that it is bound
// to, "" where it is to none.
func (v value) openBound(at place, keys identities) (opened secrets.Value, deployment string, findings source.Findings) {
	if !v.sealed {
		return v.Value, "", nil
	}
	opened, deployment, err := unseal(at, v.Reveal(), keys)
	if err == nil {
		return opened, deployment, nil
	}
	hint := ""
	switch err {
	case errNoIdentity:
		hint = "set KAI_AGE_KEY_FILE to the file of the identity, or KAI_AGE_KEY to its text"
	case errOtherIdentity:
		hint = "ask one of the file's recipients to add yours, or give another identity in KAI_AGE_KEY_FILE or KAI_AGE_KEY"
	case errDamaged:
		hint = "take the value from an earlier revision of the file, or set it anew"
	}
	findings.Add("sealed", v.at, v.path, hint, "%s", err)
	return secrets.Value{}, "", findings
}

func unseal(at place, text string, keys identities) (v secrets.Value, deployment string, err error) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(text, sealedPrefix), "="))
	if err != nil {
		return v, "", errDamaged
	}
	if !bytes.HasPrefix(raw, []byte(ageHeader)) {
		return v, "", errDamaged
	}
	private := keys()
	if len(private) == 0 {
		return v, "", errNoIdentity
	}
	r, err := age.Decrypt(bytes.NewReader(raw), private...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return v, "", errOtherIdentity
	}
	if err != nil {
		return v, "", errDamaged
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return v, "", errDamaged
	}
	head, packed, _ := bytes.Cut(plain, []byte("\n"))
	var words []string
	if json.Unmarshal(head, &words) != nil || len(words) < 4 || len(words) > 5 || words[0] != format {
		return v, "", errors.New("is encrypted, and not by kai: what it holds does not say where it belongs")
	}
	if len(words) == 5 {
		deployment = words[1]
	}
	if was := (place{words[len(words)-3], words[len(words)-2], words[len(words)-1]}); was != at {
		return v, "", fmt.Errorf("is encrypted as %s.%s.%s, and was moved here", was.app, was.scope, was.name)
	}
	if v, err = secrets.Unpack(packed); err != nil {
		return v, "", errDamaged
	}
	return v, deployment, nil
}
