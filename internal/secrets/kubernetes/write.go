package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// write is one call of Write, over all its attempts.
type write struct {
	doc    secrets.Doc
	before *object // as it was read; nil where there was none
	id     string
	call   call
	cut    bool // whether an attempt was not answered
}

// Write implements secrets.Store.
func (s *Store) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	if err := checkPath(doc.Path); err != nil {
		return "", err
	}
	content, err := encode(doc)
	if err != nil {
		return "", err
	}
	before, err := s.get(ctx, s.getPath(doc.Path))
	switch {
	case err != nil:
		return "", err
	case before.version() != doc.Version:
		return "", &secrets.ConflictError{Path: doc.Path}
	case maps.EqualFunc(before.values(), doc.Values, secrets.Value.Equal):
		return doc.Version, nil
	}
	w := &write{doc: doc, before: before, id: s.newID()}
	if w.call, err = s.writeCall(w, content); err != nil {
		return "", err
	}
	return s.attempt(ctx, w)
}

// Check implements secrets.Checker.
func (s *Store) Check(_ context.Context, docs []secrets.Doc) error {
	for _, doc := range docs {
		if err := checkPath(doc.Path); err != nil {
			return err
		}
		if _, err := encode(doc); err != nil {
			return err
		}
	}
	return nil
}

// writeCall gives the request: it makes, replaces or deletes the Secret, if that
// is still as it was read.
func (s *Store) writeCall(w *write, content content) (c call, err error) {
	path := w.doc.Path
	c = call{
		resource: "secrets", namespace: s.namespace, name: Name(path), hidden: w.doc.Values,
		query: url.Values{"fieldManager": {"kai"}}, role: func() string { return Role(s.namespace, path.Deployment, true, path) },
	}
	switch {
	case len(w.doc.Values) == 0:
		c.verb, c.query = "delete", nil
		c.body, err = json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "DeleteOptions",
			"preconditions": map[string]string{"uid": w.before.text("uid"), "resourceVersion": w.before.text("resourceVersion")},
		})
		return c, err
	case w.before == nil:
		c.verb = "create"
	default:
		c.verb = "update"
	}
	c.body, err = w.before.with(path, s.namespace, content, w.id)
	return c, err
}

// attempt writes, and finds out what has become of a write whose answer was lost.
func (s *Store) attempt(ctx context.Context, w *write) (string, error) {
	for begin := time.Now(); ; {
		body, err := s.do(ctx, w.call)
		reason := reasonOf(err)
		taken := reason == alreadyExists || reason == conflict || reason == notFound
		switch {
		case err == nil:
			return s.written(w, body)
		case taken && !w.cut:
			return "", &secrets.ConflictError{Path: w.doc.Path}
		case kindOf(err) == Unsure:
			w.cut = true
		case !taken && w.cut:
			return "", unsure(w, err)
		case !taken:
			return "", s.refusal(w, err)
		}
		seen, looked := s.get(ctx, s.getPath(w.doc.Path))
		if looked != nil {
			return "", unsure(w, looked)
		}
		version, again, conflict := w.landed(seen)
		switch {
		case conflict != nil:
			return "", conflict
		case !again:
			return version, nil
		case time.Since(begin) > s.patience || !sleep(ctx, 100*time.Millisecond):
			return "", unsure(w, err)
		}
	}
}

// written gives the version that an answer to a write has.
func (s *Store) written(w *write, body []byte) (string, error) {
	if len(w.doc.Values) == 0 {
		return "", nil
	}
	made, err := parseObject(body)
	if err != nil {
		return "", unsure(w, err)
	}
	return made.version(), nil
}

// landed says what has become of a write that was not answered, by what is there
// now: its version where it was done, or that it can be done again.
func (w *write) landed(seen *object) (version string, again bool, err error) {
	deletes := len(w.doc.Values) == 0
	switch {
	case deletes && seen == nil:
		return "", false, nil
	case !deletes && seen != nil && seen.annotation(keyWrite) == w.id:
		if maps.EqualFunc(seen.values(), w.doc.Values, secrets.Value.Equal) {
			return seen.version(), false, nil
		}
		// It was done, and somebody has edited the Secret since: this version is
		// not the current one any more.
		return w.id, false, nil
	case seen == nil && w.before == nil,
		seen != nil && w.before != nil && seen.text("resourceVersion") == w.before.text("resourceVersion"):
		return "", true, nil
	case deletes && seen.text("uid") == w.before.text("uid"):
		// What is deleted does not come back as the same.
		return "", false, &secrets.ConflictError{Path: w.doc.Path}
	}
	return "", false, unsure(w, errors.New("others have written since"))
}

func unsure(w *write, err error) error {
	if ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded); ended {
		return fmt.Errorf("%w; whether %s was written is not known", err, w.doc.Path)
	}
	why, _, _ := strings.Cut(err.Error(), "\n  hint: ")
	return &Error{Kind: Unsure, Text: fmt.Sprintf("the answer to a write of %s was lost, and whether it was done is not known: %s", w.doc.Path, why), Hint: "read the path again before it is written once more"}
}

// refusal words what the API server does not take.
func (s *Store) refusal(w *write, err error) error {
	if reasonOf(err) == "TooLarge" {
		return cannot("", "all of %s: it is more than the cluster takes in one Secret", w.doc.Path)
	}
	if immutable, _ := w.fieldsBefore()["immutable"].(bool); immutable && reasonOf(err) == "Invalid" {
		return cannot("delete the Secret "+w.call.name+" and write it anew", "other values in %s: its Secret is immutable", w.doc.Path)
	}
	return err
}

func (w *write) fieldsBefore() map[string]any {
	if w.before == nil {
		return nil
	}
	return w.before.fields
}
