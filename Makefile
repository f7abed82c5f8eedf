# Each verb is one call of the real tool. `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help deps simulators build app package check test demo demo-down demo-status bench bench-channel bench-devices bench-router bench-authorization soak restarts replicas crowd systemd chaos fuzz

CARGO ?= cargo
# Where cargo builds to; `make demo` keeps its state below it.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# How the demo is built. With PROFILE=dev it runs what the tests have built already.
PROFILE ?= release
BIN := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# Other packages mean other features of what they share, and that it is built anew.
PACKAGES := $(if $(filter dev,$(PROFILE)),--workspace,-p cloudcore -p edgecore -p keadm -p virtual-mapper)
# The demo's program goes into images that hold nothing else, so it is linked statically, in a folder of its own:
# other flags would make cargo build everything anew.
APP_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
APP := $(TARGET)/demo-app/$(APP_TARGET)/release/demo-app

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

deps: ## install what building and testing need (Debian; elsewhere it says what is missing)
	@build/deps.sh

build: app ## build the release binaries (PROFILE=dev: those that the tests use)
	@build/deps.sh demo
	$(CARGO) build --profile $(PROFILE) --locked --bins $(PACKAGES)

app: ## build the program in the demo's images
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked -p demo-app --target $(APP_TARGET) --target-dir $(TARGET)/demo-app

# Static, so that they run in empty images and on any Linux; TRIPLE names another machine, for which the toolchain needs that
# target and a linker (CONTRIBUTING.md).
TRIPLE ?= $(APP_TARGET)
# As Debian names it; images have another name for the third.
DEB_ARCH = $(if $(filter x86_64-%,$(TRIPLE)),amd64,$(if $(filter aarch64-%,$(TRIPLE)),arm64,armhf))
IMAGE_ARCH = $(DEB_ARCH:armhf=arm)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

package: deps ## release binaries, .deb packages, a bundle for `keadm join`, SBOMs and checksums in target/package (TRIPLE=aarch64-unknown-linux-gnu: for another machine)
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --bins --example image -p cloudcore -p edgecore -p keadm -p virtual-mapper -p demo-app \
	  --target $(TRIPLE) --target-dir $(TARGET)/static
	@rm -rf $(TARGET)/package && mkdir -p $(TARGET)/package/bin
	@cp $(addprefix $(TARGET)/static/$(TRIPLE)/release/,cloudcore edgecore keadm virtual-mapper) $(TARGET)/package/bin/
	@[ $(TRIPLE) != $(APP_TARGET) ] || { cd $(TARGET)/package && image() { $(abspath $(TARGET)/static/$(TRIPLE))/release/examples/image $(IMAGE_ARCH) "$$@"; } && \
	  image skerry/cloudcore:v$(VERSION) skerry-cloudcore-$(VERSION)-image.tar 65532:65532 bin/cloudcore && \
	  image skerry/installation-package:v$(VERSION) skerry-installation-package-$(VERSION)-image.tar 0:0 bin/edgecore bin/keadm && \
	  image docker.io/skerry/pause:v$(VERSION) pause.tar 65535:65535 $(abspath $(TARGET)/static/$(TRIPLE))/release/demo-app -- pause && \
	  bin/keadm bundle create --binaries bin --image pause.tar --kubeedge-version $(VERSION) --output-path skerry-$(VERSION)-$(DEB_ARCH)-bundle.tar.gz && rm pause.tar; }
	@build/sbom.sh $(TARGET)/package $(TRIPLE)
	@build/package.sh $(TARGET)/package/bin $(TARGET)/package $(VERSION) $(DEB_ARCH)
	@ls -l $(TARGET)/package

check: deps ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

simulators:
	@build/simulators.sh

test: deps simulators app ## everything the tests need, then all tests
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --workspace --locked
ifdef KUBEBUILDER_ASSETS
	@echo "KUBEBUILDER_ASSETS is set: the same flow against the kube-apiserver in $(KUBEBUILDER_ASSETS)"
	$(CARGO) test --locked --workspace -- --ignored real_kube_apiserver
else
	@echo "KUBEBUILDER_ASSETS is not set: nothing was tried against a real kube-apiserver"
endif

demo: build ## control plane, cloudcore, an edge node, two pods and a device on this machine
	$(BIN)/keadm demo --state target/demo up --app $(APP)

demo-down: ## remove every trace of the demo
	$(BIN)/keadm demo --state target/demo down

demo-status: ## say what of the demo is running
	$(BIN)/keadm demo --state target/demo status

bench: demo ## measure the running demo
	$(CARGO) run --release --locked -p integration --bin bench -- $(TARGET)/release target/demo

bench-channel: ## measure a CloudCore with many hollow nodes (N=2000 DIALECTS=stock,native,quic API=beside)
	$(CARGO) build --release --locked -p cloudcore -p hollow-edge
	$(TARGET)/release/hollow-edge bench --nodes $(or $(N),2000) $(if $(DIALECTS),--dialects $(DIALECTS)) $(if $(filter inside,$(API)),--api-inside)

bench-devices: ## measure a node with many devices (DEVICES=1000 SECONDS=60)
	$(CARGO) build --release --locked -p cloudcore -p edgecore -p integration --bins
	$(TARGET)/release/bench-devices "$(DEVICES)" "$(SECONDS)"

bench-router: ## measure requests to nodes, at the CloudCore that holds the node and at another one (ROUNDS=5 SECONDS=10)
	$(CARGO) build --release --locked -p cloudcore -p edgecore -p integration --bins
	$(TARGET)/release/bench-router "$(ROUNDS)" "$(SECONDS)"

bench-authorization: ## measure how long it takes to say whether a node may have what it asks for
	$(CARGO) test --release --locked -p cloudcore --lib -- --ignored --nocapture looks_at_the_graph

# What nodes write goes to memory where there is some for that: a disk that really syncs would be most of the time.
soak: ## a thousand random schedules of everything that fails, simulated (SEEDS=10000: more; START=4711 SEEDS=1: that one)
	SEEDS=$(SEEDS) START=$(START) TMPDIR=$(firstword $(wildcard /dev/shm) /tmp) \
	  $(CARGO) test --profile soak --locked -p integration --test schedules -- --ignored --nocapture soak

restarts: deps app ## EdgeCore and containerd are killed a hundred times among thirty pods (POINTS=200: more; START=4711 POINTS=5: that round)
	$(CARGO) build --workspace --locked --bins
	POINTS=$(POINTS) START=$(START) $(CARGO) test --locked -p integration --test restarts -- --ignored --nocapture --test-threads=1

replicas: deps ## a hundred rounds of what three CloudCores and 200 nodes can suffer, with users' messages under way (RUNS=10: fewer; START=4711 RUNS=1: that one)
	$(CARGO) build --workspace --locked --bins
	RUNS=$(RUNS) START=$(START) $(CARGO) test --locked -p integration --test replicas -- --ignored --nocapture hundred

crowd: deps app ## five hundred pods (PODS=100: fewer) at once on one node: how long it takes, EdgeCore's memory and open files
	$(CARGO) build --workspace --locked --bins
	PODS=$(PODS) $(CARGO) test --locked -p integration --test bad_input -- --ignored --nocapture five_hundred

# A root is some 300 MB, takes minutes to make, and is made once.
SYSTEMD_ROOT ?= $(abspath $(TARGET))/systemd-root

systemd: app ## keadm on machines with a real systemd: init, two nodes, a power cut, upgrade, rollback, reset (needs debootstrap and systemd-nspawn)
	@build/systemd-root.sh $(SYSTEMD_ROOT)
	$(CARGO) build --workspace --locked --bins
	SYSTEMD_ROOT=$(SYSTEMD_ROOT) $(CARGO) test --locked -p integration --test systemd -- --ignored --nocapture --test-threads=1

chaos: deps app ## certificates: a thousand first starts of ten CloudCores while the API fails, five hundred kills of a node that renews its own (RUNS, KILLS, START); and what pods do for minutes
	RUNS=$(RUNS) START=$(START) $(CARGO) test --locked -p cloudcore --test chaos -- --ignored --nocapture first_starts
	KILLS=$(KILLS) START=$(START) $(CARGO) test --locked -p edgecore --lib -- --ignored --nocapture renewal_under_sigkill
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --locked -p integration --test behaviours -- --ignored --nocapture for_minutes

fuzz: ## every fuzz target for a minute (needs cargo-fuzz)
	@for folder in proto certs mqtt keadm; do for target in $$(cd $$folder && $(CARGO) fuzz list); do \
	  (cd $$folder && $(CARGO) fuzz run -s none $$target -- -max_total_time=60) || exit 1; done; done
