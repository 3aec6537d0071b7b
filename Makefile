# All that a machine needs is Go; make test finds more with a C compiler (the race detector), make e2e wants git.
GO ?= go
BENCH ?= .

.DEFAULT_GOAL := help
.PHONY: help build demo test e2e bench lint docs clean

help: ## list these targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1  \2/p' Makefile

# kai-run is for containers, so it is Linux's; GOARCH says for which machines.
build: ## build bin/kai, bin/kubectl-kai, a link to it, and bin/kai-run, which containers start with
	@KAI_BIN= KAI_BIN_SHA256= KAI_SKIP_BIN_INSTALL= GO='$(GO)' sh scripts/install.sh -u
	@GOWORK=off CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=v$$(sed -n 's/^version:[ ]*\([^ #]*\).*/\1/p' plugin.yaml)" -o bin/kai-run ./cmd/kai-run

demo: build ## generate and render Sock Shop's charts for two contexts
	@sh scripts/demo.sh

test: ## run all tests of the module, with the race detector where there is a C compiler
	@cc=$$($(GO) env CC); \
	if command -v "$${cc%% *}" >/dev/null && [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then \
		$(GO) test -race ./...; \
	else \
		echo 'make test: no C compiler here, so without the race detector' >&2; \
		$(GO) test ./...; \
	fi

# -v with -p 1 shows at once what is going on, such as the builds of a first run.
e2e: ## run the end-to-end tests: real releases of Helm, real checkers, a real control plane (the first run builds them)
	cd e2e && $(GO) test -v -p 1 -count=1 -timeout 60m ./...

bench: ## run the benchmarks, also against helm, and print a table (BENCH=regexp picks some)
	cd e2e && $(GO) run ./bench -bench '$(BENCH)'

lint: ## vet, gofmt and staticcheck, for this module and for e2e
	$(GO) vet ./...
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GO) tool staticcheck ./...
	@staticcheck=$$($(GO) tool -n staticcheck) && cd e2e && $(GO) vet ./... && "$$staticcheck" ./...

docs: ## regenerate what is generated below docs/ and schemas/
	$(GO) generate ./...

clean: ## remove what the targets above made
	rm -rf bin build .cache
