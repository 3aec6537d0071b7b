//go:build schemas

package kubeschema

// Not part of make docs, since it wants modules of 60 MB for each minor:
// go generate -tags schemas ./internal/kubeschema

//go:generate go run ./gen -o schemas.gz
