module github.com/helm-kai/helm-kai/e2e/printers

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/helm-kai/helm-kai v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/stretchr/objx v0.5.3 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace github.com/helm-kai/helm-kai => ../..
