# What each target does: make help
SHELL   := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X github.com/dataverket/avstem/cmd/internal/buildinfo.version=$(VERSION)'

# Debian packages that the demo runs: real libvirt, QEMU and Open vSwitch.
DEMO_PACKAGES := libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu \
                 qemu-system-x86 qemu-utils openvswitch-switch iproute2
# What the lab runs besides: user-mode Linux, with a root file system by debootstrap.
LAB_PACKAGES := $(DEMO_PACKAGES) user-mode-linux kmod debootstrap openssh-client
# What the tests want besides: a TPM in software, file systems, daemons that hear
# LLDP, LXD and Incus (which Debian 12 has in its backports only), Prometheus's
# promtool, and a C compiler for the race detector. What ships is built without.
TEST_PACKAGES := $(LAB_PACKAGES) git patch sqlite3 swtpm swtpm-tools e2fsprogs lvm2 thin-provisioning-tools \
                 mdadm cryptsetup-bin btrfs-progs fdisk udev gcc libc6-dev \
                 lldpd systemd systemd-container lintian rpm rpmlint groff-base ansible-core ansible-lint cloud-init \
                 prometheus lxd lxd-client busybox-static incus-base/bookworm-backports

# What the reconciler is measured beside.
FLEET_PACKAGES := sqlite3 postgresql

# What the agent is measured beside.
BENCH_PACKAGES := $(TEST_PACKAGES) strace time fusioninventory-agent

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build packages test frames histories lint demo demo-down lab lab-down lab-test install-test compare-runtimes bench bench-fleet bench-host deps lab-deps demo-deps bench-deps clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 27

build: ## static binaries into bin/
	$(GOBUILD) -o bin/avstem ./cmd/avstem
	$(GOBUILD) -o bin/avstem-agent ./cmd/avstem-agent
	$(GOBUILD) -o bin/avstem-probe ./cmd/avstem-probe

packages: ## deb and rpm of both programs for amd64 and arm64 into dist/, with checksums and SBOMs
	packaging/build

demo: demo-deps build ## real VMs, an inventory that disagrees with them, and what avstem says of it (root)
	go run ./test/demo/cmd/demo up

demo-down: ## end the demo and remove every trace of it (root)
	go run ./test/demo/cmd/demo down

lab: lab-deps build ## two hypervisor hosts to log in to, in user-mode Linux (root)
	go run ./test/lab/cmd/lab up

lab-down: ## end the lab's hosts and remove every trace of them (root)
	go run ./test/lab/cmd/lab down

lab-test: deps ## everything that needs such hosts, at full size, and what each case proved (root)
	go run ./test/lab/cmd/lab test

install-test: deps ## docs/install.md followed word for word on hosts with systemd: install, break, upgrade, purge (root)
	go test -count=1 -timeout 20m -v ./test/install

compare-runtimes: deps build ## libvirt, QEMU and LXD beside each other: numbers, probes, MASKIN 014, and a page (root)
	go run ./test/compare/cmd/compare

test: deps ## all tests, rigs included (root)
	go test -race -timeout 20m ./...

frames: deps ## 500 generated networks, built for real: do frames go where their paths say? (root)
	go test -timeout 40m -v ./test/frames -rapid.checks=500

histories: ## long random histories: is what changes step by step what a full pass finds?
	go test -timeout 60m ./reconcile ./reconcile/engine ./replay -run 'TestBookIsAPass|TestStepsAreAdvances|TestReplayIsTheSame|TestReplayTellsWhatWasTold|TestSamePolicySaysTheSame' -rapid.checks=5000 -rapid.seed=$$(date +%s)

lint: ## formatting, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'd: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

bench: bench-deps ## speed as ratios against what people use today (root)
	go test -run '^$$' -bench . -benchtime 3x ./...

bench-host: bench-deps ## one pass over 50 VMs, 200 links and 60 block devices: CPU, syscalls, memory (root)
	go test -run '^$$' -bench . -benchtime 3x -timeout 30m ./test/cost

bench-fleet: ## a simulated fleet of 10,000 hosts with 50 VMs: the reconciler beside SQLite and PostgreSQL (root)
	@./test/install-packages $(FLEET_PACKAGES)
	go run ./test/fleet/cmd/fleet

deps: ## install what the tests run, where it is missing (Debian, root)
	@./test/install-packages $(TEST_PACKAGES)

bench-deps:
	@./test/install-packages $(BENCH_PACKAGES)

lab-deps: ## install what the lab runs, where it is missing (Debian, root)
	@./test/install-packages $(LAB_PACKAGES)

demo-deps: ## install what the demo runs, where it is missing (Debian, root)
	@./test/install-packages $(DEMO_PACKAGES)

clean: ## remove what was built
	rm -rf bin dist
