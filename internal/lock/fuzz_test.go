package lock_test

import (
	"testing"

	"github.com/helm-kai/helm-kai/internal/lock"
)

// FuzzRead: whatever stands in kai.lock is refused with a place, or read, written
// and read again as the same.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "a: &a [*a]\n", "apiVersion: kai/v1\n", "apiVersion: kai/v1\npins: {a: b}\n", "apiVersion: kai/v1\npins: [null, 1, [], {kind: flavor}]\n",
		"apiVersion: kai/v1\npins:\n  - {kind: flavor, name: web, source: " + web + ", resolved: " + commit + ", digest: " + digest + "}\n",
		"apiVersion: kai/v1\npins:\n  - {kind: chart, name: nats, source: '" + charts + "', resolved: 1.2.0@" + other + ", digest: " + digest + "}\n",
		"apiVersion: kai/v1\npins:\n  - {kind: friend, name: redis, source: library, resolved: 0.4.0, digest: " + digest + "}\n  - {kind: flavor, name: own, source: ../../own}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read, findings := lock.Read(file(string(data)))
		if findings != nil || read == nil {
			for _, one := range findings {
				if one.Message == "" || one.Origin.File == "" {
					t.Errorf("a finding without a place or a message: %+v", one)
				}
			}
			return
		}
		again, findings := lock.Read(file(string(read.Bytes())))
		if findings != nil {
			t.Fatalf("what is written is not read again: %v\n%s", findings, read.Bytes())
		}
		if string(again.Bytes()) != string(read.Bytes()) || len(lock.Compare(read, again)) != 0 {
			t.Errorf("what is written is read as another:\n%s\n%s", read.Bytes(), again.Bytes())
		}
	})
}
