module github.com/helm-kai/helm-kai/e2e

go 1.26.0

require gopkg.in/yaml.v3 v3.0.1

require (
	github.com/rogpeppe/go-internal v1.16.0
	golang.org/x/sys v0.26.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
