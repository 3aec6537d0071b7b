package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"slices"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Ties are what binds the chart of a service to the rest of its context, for
// those who make single charts anew.
type Ties struct {
	// Services are the others whose descriptors the chart is made from as well. Of
	// those nothing but their own descriptors has a part in it.
	Services []string
	// Sum stands for all that the service says to what is found out about the
	// context as a whole: its name, what it needs, its flavor, and what it shares.
	// While it is the same, so are the charts of shared friends, and whatever is
	// wrong with the context as a whole.
	Sum [sha256.Size]byte
}

// tied collects the ties of a service.
type tied struct {
	Ties
	shared []*dependency
}

// add notes a friend, and what of it is installed once for all.
func (t *tied) add(use descriptor.FriendUse, f *friend) {
	if use.Service != "" {
		t.Services = append(t.Services, use.Service)
	}
	if f.common != nil {
		t.shared = append(t.shared, f.common)
	}
}

// of gives the ties of a service whose friends have been added.
func (t *tied) of(s *service) *Ties {
	w := canonical{sha256.New()}
	w.text(s.Name)
	w.text(s.flavor.Name)
	w.text(s.flavor.Digest)
	for _, use := range s.friends {
		w.text(use.Name)
		w.text(use.From)
		w.text(use.Service)
		w.number(len(t.Services))
		if use.Needs {
			w.text("needs")
		}
	}
	// Who comes first in the file decides for all that share.
	slices.SortStableFunc(t.shared, func(a, b *dependency) int {
		return cmp.Or(cmp.Compare(a.origin.Line, b.origin.Line), cmp.Compare(a.origin.Column, b.origin.Column))
	})
	for _, d := range t.shared {
		w.text(d.release)
		w.text(d.namespace)
		w.text(d.secret)
		w.text(d.origin.File)
		w.text(d.definition.file.File)
		w.value(d.definition.fields)
		w.number(len(d.definition.values))
		for _, v := range d.definition.values {
			w.value(v)
		}
	}
	w.Sum(t.Sum[:0])
	return &t.Ties
}

// canonical writes values so that no two of them look the same.
type canonical struct{ hash.Hash }

func (w canonical) number(n int) {
	w.Write(binary.AppendUvarint(nil, uint64(n)))
}

func (w canonical) text(s string) {
	w.number(len(s))
	io.WriteString(w, s)
}

func (w canonical) value(v *source.Value) {
	if v == nil {
		w.number(0)
		return
	}
	w.number(1 + int(v.Kind))
	w.text(v.Text)
	for _, flag := range []bool{v.Whole, v.Append} {
		if flag {
			w.text("!")
		}
	}
	w.number(len(v.Items))
	for _, item := range v.Items {
		w.value(item)
	}
	w.number(len(v.Fields))
	for _, f := range v.Fields {
		w.text(f.Key)
		w.value(f.Value)
	}
}
