# What each target does: make help
SHELL   := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X github.com/dataverket/avstem/cmd/internal/buildinfo.version=$(VERSION)'

# Debian packages that the demo and the tests' rigs run: real libvirt, QEMU and
# Open vSwitch, and user-mode Linux for kernels that this one is not.
RIG_PACKAGES := libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu \
                qemu-system-x86 qemu-utils openvswitch-switch iproute2 user-mode-linux

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build test lint demo demo-down bench deps clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## static binaries into bin/
	$(GOBUILD) -o bin/avstem ./cmd/avstem
	$(GOBUILD) -o bin/avstem-agent ./cmd/avstem-agent

demo: deps build ## real VMs, an inventory that disagrees with them, and what avstem says of it (root)
	go run ./test/demo/cmd/demo up

demo-down: ## end the demo and remove every trace of it (root)
	go run ./test/demo/cmd/demo down

test: deps ## all tests, rigs included (root)
	go test -race -timeout 20m ./...

lint: ## formatting, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'd: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

bench: deps ## speed as ratios against what people use today (root)
	go test -run '^$$' -bench . -benchtime 3x ./...

deps: ## install what the rigs run, where it is missing (Debian, root)
	@./test/install-packages $(RIG_PACKAGES)

clean: ## remove what was built
	rm -rf bin dist
