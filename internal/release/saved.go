package release

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
)

// Saved is a plan in a file: what it does, and what it was made from, so that it
// can be held against a plan that is made later. It holds no secret: what is
// masked in the plan is masked in it, and all secrets together leave one slow and
// salted digest.
type Saved struct {
	APIVersion string    `json:"apiVersion"` // kai/v1
	Kind       string    `json:"kind"`       // Plan
	Created    time.Time `json:"created"`
	Plan       Plan      `json:"plan"`
	// Digests are of each step with all that it changes, masked, by release.
	Digests map[string]string `json:"digests"`
	Salt    string            `json:"salt"`
	Secrets string            `json:"secrets"`
}

const savedKind = "Plan"

// Save makes a plan ready to be written.
func (p *Plan) Save(now time.Time) (*Saved, error) {
	s := &Saved{APIVersion: "kai/v1", Kind: savedKind, Created: now.UTC(), Plan: *p, Digests: map[string]string{}}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	s.Salt = hex.EncodeToString(salt)
	var err error
	if s.Secrets, err = p.secretsDigest(salt); err != nil {
		return nil, err
	}
	for _, step := range p.Steps {
		if s.Digests[step.key()], err = step.digest(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ReadSaved reads a saved plan.
func ReadSaved(data []byte) (*Saved, error) {
	var s Saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("it is no saved plan: %w", err)
	}
	if s.APIVersion != "kai/v1" || s.Kind != savedKind {
		return nil, fmt.Errorf("it is no saved plan: its kind is %q, its apiVersion %q\n  hint: diff --save-plan writes one", s.Kind, s.APIVersion)
	}
	return &s, nil
}

// Holds says whether a plan that was made now is the one that was saved: the same
// inputs, the same cluster in the same state, the same secrets. If not, the error
// is a MovedError that lists what is different.
func (s *Saved) Holds(now *Plan) error {
	moved := &MovedError{}
	say := func(format string, args ...any) { moved.What = append(moved.What, fmt.Sprintf(format, args...)) }
	if s.Plan.Target != now.Target {
		say("it was made for %s, and this is %s", s.Plan.Target, now.Target)
		return moved
	}
	left := maps.Clone(s.Digests)
	for _, step := range now.Steps {
		digest, err := step.digest()
		if err != nil {
			return err
		}
		was, known := left[step.key()]
		delete(left, step.key())
		switch {
		case !known:
			say("%s: it was not in the plan", step.Release)
		case was != digest:
			say("%s: %s", step.Release, s.difference(step))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		say("%s: it is not part of this run, and was in the plan", s.step(key).Release)
	}
	salt, err := hex.DecodeString(s.Salt)
	if err != nil {
		return fmt.Errorf("it is no saved plan: salt: %w", err)
	}
	digest, err := now.secretsDigest(salt)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(digest), []byte(s.Secrets)) != 1 {
		say("a secret has another value than then")
	}
	if len(moved.What) > 0 {
		return moved
	}
	return nil
}

// difference words how a step differs from the one that was saved.
func (s *Saved) difference(now Step) string {
	for _, was := range s.Plan.Steps {
		if was.key() != now.key() {
			continue
		}
		switch {
		case was.Revision != now.Revision:
			return fmt.Sprintf("it is at revision %d now, and was at %d", now.Revision, was.Revision)
		case was.Action != now.Action:
			return fmt.Sprintf("the plan said %s, and now it would be %s", was.Action, now.Action)
		}
	}
	return "what would change is different now" + fieldsThatDiffer(s.step(now.key()), now)
}

// step gives the step of a release as it was saved.
func (s *Saved) step(key string) Step {
	for _, step := range s.Plan.Steps {
		if step.key() == key {
			return step
		}
	}
	return Step{}
}

// fieldsThatDiffer names the first places where two steps do not change the same.
func fieldsThatDiffer(was, now Step) string {
	changes := func(s Step) map[string]string {
		out := map[string]string{}
		for _, c := range slices.Concat(s.Objects, s.Hooks) {
			out[c.Ref.String()] = string(c.Action)
			for _, f := range c.Fields {
				out[c.Ref.String()+" "+f.Path] = fmt.Sprint(f.Before, " → ", f.After)
			}
		}
		return out
	}
	before, after := changes(was), changes(now)
	var places []string
	for place, text := range after {
		if before[place] != text {
			places = append(places, place)
		}
	}
	for place := range before {
		if _, still := after[place]; !still {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	switch n := len(places); {
	case n == 0:
		return ""
	case n > 3:
		return fmt.Sprintf(": %s and %d more", strings.Join(places[:3], ", "), n-3)
	}
	return ": " + strings.Join(places, ", ")
}

func (t Target) String() string {
	text := "the context " + t.Context
	if t.Workspace != "" {
		text += " of " + t.Workspace
	}
	if t.Namespace != "" {
		text += " in " + t.Namespace
	}
	if t.Cluster != "" {
		text += ", cluster " + t.Cluster
	}
	return text
}

func (s Step) key() string { return s.Namespace + "/" + s.Release }

// digest is a SHA-256 of the step and of all that it changes, masked.
func (s Step) digest() (string, error) {
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	if err := encoder.Encode(s); err != nil {
		return "", err
	}
	for _, c := range slices.Concat(s.Objects, s.Hooks) {
		if c.Action == "unchanged" {
			continue
		}
		if err := encoder.Encode([]any{c.Before, c.After}); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// The cost of a digest of secrets: it is paid once a plan, and by whoever tries
// to guess for each guess.
const (
	scryptN = 1 << 15
	scryptR = 8
	scryptP = 1
)

// secretsDigest is one digest of all secrets of the plan.
func (p *Plan) secretsDigest(salt []byte) (string, error) {
	hash := sha256.New()
	for _, w := range p.work {
		if w.want == nil {
			continue
		}
		for _, where := range slices.Sorted(maps.Keys(w.want.Secrets)) {
			fmt.Fprintf(hash, "%q %q %q\n", w.want.Name, where, w.want.Secrets[where].Reveal())
		}
	}
	sum, err := scrypt.Key(hash.Sum(nil), salt, scryptN, scryptR, scryptP, 32)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum), nil
}
