# faxstream: `make help` lists the targets.
SHELL := /bin/bash
export CGO_ENABLED ?= 0
GO      ?= go
TOOLS   := $(CURDIR)/.tools/bin
VERSION := $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)

# Servers that tests run as real processes, built from the module proxy; never shipped or imported.
NATS_SERVER := github.com/nats-io/nats-server/v2@v2.15.2
NATS_OLD    := github.com/nats-io/nats-server/v2@v2.11.16
VERSITYGW   := github.com/versity/versitygw/cmd/versitygw@v1.8.0
MINIO       := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

# Programs that make packages and judge them; nfpm 2.46 and newer need modules that the proxy does not have.
NFPM       := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
CYCLONEDX  := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
HELM       := helm.sh/helm/v3/cmd/helm@v3.22.0
# Modules with the schemas of what a cluster and docker compose take.
KUBERNETES := k8s.io/kubernetes@v1.37.2
KEDA       := github.com/kedacore/keda/v2@v2.21.0
COMPOSE    := github.com/compose-spec/compose-go/v2@v2.16.2

# The collection of real faxes, where it lies beside the project, and the files that its gen.sh makes, once in a checkout.
CORPUS    := $(abspath $(CURDIR)/../shared/corpus)
GENERATED := $(if $(wildcard $(CORPUS)/gen.sh),$(CURDIR)/.tools/generated)

# Debian 12 packages that judge what we write, or make what we read.
PACKAGES := gcc libc6-dev curl libtiff-tools libtiff-dev jbigkit-bin poppler-utils qpdf prometheus systemd ghostscript netpbm strace
PACKAGES += img2pdf libpdfbox2-java libcommons-logging-java libcommons-io-java libactivation-java libjaxb-api-java default-jre-headless
PACKAGES += libspandsp-dev linux-perf imagemagick-6.q16 graphicsmagick libvips-tools mupdf-tools python3-pil ecj nodejs tesseract-ocr ocrmypdf chromium skopeo nginx-light iproute2
PACKAGES += $(if $(shell command -v npm),,npm)

.PHONY: help build demo test lint race check bench picture cost stages tools packages image package release fuzz soak cluster-test upgrade-test
# Targets are in an order: packages are there before what is made with them.
.NOTPARALLEL:

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## build bin/faxstream, one static binary
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/faxstream ./cmd/faxstream

demo: build ## run everything in one process and send it faxes; ARGS=--exit ends when all are assembled
	./bin/faxstream demo $(ARGS)

test: packages tools $(GENERATED:%=%/done) lint race ## install what is needed (as root on Debian 12) and run everything that CI runs
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10000x
	# Many tests wait for servers and timers: more of them than cores run at once.
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_GENERATED=$(GENERATED) CI=true $(GO) tool gotestsum --format pkgname -- -count=1 -vet=off -timeout 30m -p 3 -parallel 4 ./...
	$(MAKE) --no-print-directory stages
	$(MAKE) --no-print-directory demo ARGS="--exit --faxes 3"

check: lint race ## the quick part: format, vet, staticcheck, tidy, race, short fuzz
	$(GO) test -short -count=1 -vet=off -timeout 15m $(SEQUENTIAL)
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10000x

lint:
	@out=$$($(GO) tool gofumpt -l .); if [ -n "$$out" ]; then echo "not formatted (go tool gofumpt -w):"; echo "$$out"; exit 1; fi
	@out=$$(find . -name '*.go' -not -path './.*' | xargs awk 'length($$0) > 140 && !/help:"/ {print FILENAME ":" FNR}'); \
	if [ -n "$$out" ]; then echo "longer than 140 columns (texts of flags may be):"; echo "$$out"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Packages without a goroutine, a lock or a pool, where the race detector finds nothing and takes several times as long: codecs, formats,
# words, and tests that run programs only. cmd/faxstream/imports_test.go reads this list and proves it.
SEQUENTIAL := $(addprefix ./,cmd/faxstream/api cmd/faxstream/client cmd/faxstream/flags cmd/faxstream/layout cmd/faxstream/pack \
  cmd/faxstream/tifftool cmd/faxstream/words deploy pipeline/ccitt pipeline/events pipeline/jbig pipeline/matrix pipeline/session \
  pipeline/sign pipeline/text)
race:
	CGO_ENABLED=1 $(GO) test -race -short -count=1 -vet=off -timeout 15m -p 3 $$($(GO) list ./... | grep -vxF "$$($(GO) list $(SEQUENTIAL))")

PACK := $(TOOLS)/nfpm $(TOOLS)/cyclonedx-gomod $(TOOLS)/helm $(TOOLS)/schemas/done
image: $(TOOLS)/nfpm $(TOOLS)/cyclonedx-gomod ## make .deb, OCI image, Helm chart, compose file and SBOM of the working tree in dist/, unsigned
	$(GO) run ./cmd/faxstream/pack --out dist --tools $(TOOLS)

package: packages $(PACK) $(TOOLS)/nats-server $(TOOLS)/versitygw image ## what image makes, and try it all
	CI=true FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_PACKAGES=$(CURDIR)/dist $(GO) test -count=1 -run '^TestPackage' ./deploy

ARCH ?= amd64,arm64
release: $(PACK) ## the same of the commit for ARCH (default amd64,arm64), built twice, with provenance and signature; KEY=FILE, or FAXSTREAM_RELEASE_KEY
	$(GO) run ./cmd/faxstream/pack --release --out dist --tools $(TOOLS) --arch $(ARCH) $(if $(KEY),--key $(KEY))

FUZZTIME ?= 1m
fuzz: ## run every fuzz target for FUZZTIME (a time or a count such as 10000x; default 1m)
	@set -eo pipefail; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; cache=$$($(GO) env GOCACHE)/fuzz; \
	$(GO) list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do \
	  targets=$$(find "$$dir" -maxdepth 1 -name '*_test.go' -exec sed -nE 's/^func (Fuzz\w+)\(.*/\1/p' {} +); [ -n "$$targets" ] || continue; \
	  $(GO) test -c -vet=off -fuzz . -o "$$tmp/fuzz.test" "$$pkg"; \
	  for f in $$targets; do \
	    echo "fuzz $$pkg $$f"; \
	    (cd "$$dir" && "$$tmp/fuzz.test" -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$cache/$$pkg") >"$$tmp/log" 2>&1 || { cat "$$tmp/log"; exit 1; }; \
	  done; done

SESSIONS ?= 1000000
KILLS  ?= 1000
OUTAGE ?= 1h
soak: tools ## SESSIONS simulated faxes (default 1000000; FAXSTREAM_SEED is the first), 100,000 histories of one, KILLS kills, outages of OUTAGE; hours
	FAXSTREAM_SESSIONS=$(SESSIONS) FAXSTREAM_SEED=$${FAXSTREAM_SEED:-0} $(GO) test -count=1 -timeout 0 -v -run '^TestSimulation$$' ./pipeline
	FAXSTREAM_SESSIONS=100000 $(GO) test -count=1 -timeout 0 -v -run '^TestHistoriesOfOneFaxGiveTheSameDocument$$' ./pipeline
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_KILLS=$(KILLS) $(GO) test -count=1 -timeout 0 -v -run '^TestKillLosesNothing$$' ./cmd/faxstream
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_OUTAGE=$(OUTAGE) $(GO) test -count=1 -timeout 0 -parallel 4 -v -run '^TestOutages$$' ./cmd/faxstream

BASE  ?= d4c3bbb
OLDER := $(TOOLS)/faxstream-$(shell git rev-parse --short=12 $(BASE) 2>/dev/null || echo $(BASE))
upgrade-test: $(TOOLS)/nats-server $(TOOLS)/versitygw $(OLDER) ## two processes of BASE (default d4c3bbb) are replaced in turn by this build, and back, while faxes come
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_OLDER=$(OLDER) $(GO) test -count=1 -timeout 0 -v -run '^TestAnOlderBuildBesideThisOne$$' ./cmd/faxstream

$(OLDER):
	set -e; tree=$$(mktemp -d); git worktree add --quiet --detach $$tree $(BASE); trap 'git worktree remove --force '$$tree EXIT; \
	cd $$tree && $(GO) build -trimpath -ldflags '-X main.version=$(BASE)' -o $@ ./cmd/faxstream

FAULT ?=
cluster-test: $(TOOLS)/nats-server $(TOOLS)/versitygw ## two processes of every role on three nats-servers and S3, under every fault, with a table of what was seen; as root about an hour; FAULT=REGEXP is some of them
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_CLUSTER=long FAXSTREAM_FAULT='$(FAULT)' $(GO) test -count=1 -timeout 0 -v -run '^TestCluster$$' ./cmd/faxstream

ROUNDS ?= 5
ROWS   ?= all
SIZE   ?= 100
picture: packages $(TOOLS)/axe/done ## make testdata/dashboard.png, the picture of the dashboard in README.md, with Chromium
	FAXSTREAM_TOOLS=$(TOOLS) FAXSTREAM_PICTURES=$$(mktemp -d) && export FAXSTREAM_TOOLS FAXSTREAM_PICTURES && \
	$(GO) test -count=1 -run '^TestTheDashboardInABrowser$$' ./cmd/faxstream && cp $$FAXSTREAM_PICTURES/dashboard.png testdata/

bench: packages $(TOOLS)/nats-server $(TOOLS)/versitygw ## a table of this tree beside the revision BASE (default d4c3bbb), in ROUNDS rounds (default 5); ROWS=embedded,webhooks are some rows; SIZE=10 is a tenth of the work
	FAXSTREAM_TOOLS=$(TOOLS) $(GO) run ./cmd/faxstream/bench --base $(BASE) --rounds $(ROUNDS) --rows $(ROWS) --size $(SIZE)

cost: packages $(TOOLS)/nats-server $(TOOLS)/versitygw ## measure what a page costs, and write the figures of deploy/docs/cost.md
	FAXSTREAM_TOOLS=$(TOOLS) $(GO) run ./cmd/faxstream/bench --base none --rounds $(ROUNDS) --size $(SIZE) --page deploy/docs/cost.md

stages: ## run every benchmark of the packages once, on little work and without thresholds: so none of them rots
	FAXSTREAM_TOOLS=$(TOOLS) $(GO) test -short -run '^$$' -bench . -benchtime 1x -vet=off -timeout 5m \
	  $$(grep -rlE '^func Benchmark' --include='*_test.go' cmd ingest pipeline storage | xargs -n 1 dirname | sort -u | sed 's,^,./,')

tools: $(TOOLS)/nats-server $(TOOLS)/nats-server-2.11 $(TOOLS)/versitygw $(TOOLS)/minio $(PACK) $(TOOLS)/pdfjs/done $(TOOLS)/asyncapi/done $(TOOLS)/natsjs/done $(TOOLS)/axe/done ## build the servers that tests run, into .tools/bin; minio takes minutes the first time

$(TOOLS)/nats-server:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(NATS_SERVER)

$(TOOLS)/nats-server-2.11: # too old for faxstream: it is refused
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS)/old $(GO) install -trimpath -ldflags '-s -w' $(NATS_OLD)
	mv $(TOOLS)/old/nats-server $@ && rmdir $(TOOLS)/old

$(TOOLS)/versitygw:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(VERSITYGW)

$(TOOLS)/minio:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(MINIO)

$(TOOLS)/nfpm:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(NFPM)

$(TOOLS)/cyclonedx-gomod:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(CYCLONEDX)

$(TOOLS)/helm:
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(HELM)

$(TOOLS)/schemas/done:
	mkdir -p $(@D)
	$(GO) mod download $(KUBERNETES) $(KEDA) $(COMPOSE)
	install -m 0644 "$$($(GO) env GOMODCACHE)/$(KUBERNETES)/api/openapi-spec/swagger.json" $(@D)/kubernetes.json
	install -m 0644 "$$($(GO) env GOMODCACHE)/$(KEDA)/config/crd/bases/keda.sh_scaledobjects.yaml" $(@D)/scaledobject.yaml
	install -m 0644 "$$($(GO) env GOMODCACHE)/$(COMPOSE)/schema/compose-spec.json" $(@D)/compose.json
	touch $@

# Pinned: pdf.js, a reader in the matrix of tests; the parser of AsyncAPI documents; nats.js, which an example of a subscriber uses; axe,
# which looks for what keeps people from using the dashboard.
$(TOOLS)/pdfjs/done: testdata/matrix/package-lock.json
$(TOOLS)/asyncapi/done: testdata/asyncapi/package-lock.json
$(TOOLS)/natsjs/done: testdata/natsjs/package-lock.json
$(TOOLS)/axe/done: testdata/axe/package-lock.json
$(TOOLS)/pdfjs/done $(TOOLS)/asyncapi/done $(TOOLS)/natsjs/done $(TOOLS)/axe/done:
	rm -rf $(@D) && mkdir -p $(@D) && cp $(<D)/package.json $(<D)/package-lock.json $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund
	touch $@

$(GENERATED:%=%/done): | packages
	rm -rf $(GENERATED) && mkdir -p $(GENERATED) $(TOOLS)
	gcc -O2 -o $(TOOLS)/mkccitt $(CORPUS)/mkccitt.c -ltiff
	cp $(CORPUS)/*.ps $(GENERATED)
	cd $(GENERATED) && { sh $(CORPUS)/gen.sh >gen.log 2>&1 || { cat gen.log; exit 1; }; }
	touch $@

# For their programs alone: where systemd runs, it does not start the services that come with them before the machine starts again.
packages: ## install the Debian packages that tests need; without root, say what is missing
	@missing=(); for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing+=($$p); done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "missing Debian packages: $${missing[*]}"; echo "run as root: apt-get install --no-install-recommends $${missing[*]}"; exit 1; fi; \
	for s in nginx prometheus; do [[ -d /run/systemd/system && " $${missing[*]}" == *" $$s"* ]] || continue; systemctl mask --quiet --runtime $$s || exit 1; done; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}"
