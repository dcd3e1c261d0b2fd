# Targets for people. CI calls `make test` and nothing else.
GO ?= go

.PHONY: demo test check install-tools fuzz brokers chaos soak

demo: ## run the whole way on this machine
	$(GO) run ./cmd/caisson demo

test: install-tools check ## install what tests need, check, and run every test under the race detector
	$(GO) test -race -timeout 12m ./...

check: ## vet, format, staticcheck
	$(GO) vet ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; }
	$(GO) tool staticcheck ./...

# The race detector needs a C compiler; the tests start a real redis-server; docs/start.md uses openssl; guests come from the toolchains of guesttest.
install-tools:
	@missing=""; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v gcc >/dev/null || command -v clang >/dev/null || missing="$$missing gcc libc6-dev"; \
	if [ -n "$$missing" ]; then \
		sudo=$$( [ "$$(id -u)" = 0 ] || command -v sudo ); \
		echo "installing:$$missing"; \
		$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	@runtime/sandbox/guesttest/install.sh

# Of BROKERS, redis and valkey, the newest that Debian has, whatever this system is. BROKERTESTS says which packages.
BROKERS ?= redis valkey
BROKERTESTS ?= ./queue/redisqueue
brokers: ## the broker's tests against the newest Redis and Valkey
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; queue/queuetest/brokers.sh "$$dir"; \
	for broker in $(BROKERS); do CAISSON_TEST_REDIS="$$dir/$$broker-server" $(GO) test -count=1 $(BROKERTESTS); done

FUZZTIME ?= 30s
FUZZFLAGS ?=

# The list is taken into a variable first, so that a package that does not build ends the run instead of looking like one
# without targets. Minimizing gets a bound of its own: by default it may take a minute, whatever FUZZTIME says. Go 1.26 may fail
# a target when its time is over with "context deadline exceeded" and no input (golang/go#75804): that is no finding.
fuzz: ## every fuzz target, one after the other, for FUZZTIME each
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	packages=$$($(GO) list ./...); for package in $$packages; do \
		listed=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(echo "$$listed" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			{ $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s $(FUZZFLAGS) $$package || echo "make fuzz: failed"; } 2>&1 | tee "$$log"; \
			if grep -qx 'make fuzz: failed' "$$log"; then \
				grep -qx '    context deadline exceeded' "$$log" && ! grep -q 'Failing input' "$$log" || exit 1; \
				echo "make fuzz: no input failed, going on"; \
			fi; \
		done; \
	done

SEED ?= 1000
SEEDS ?= 100
HISTORIES ?=
PARALLEL ?= 3

# Each seed takes ten to twenty seconds, most of it waiting: PARALLEL of them are played at a time. What failed says how to run it again and where its history is.
chaos: install-tools ## break a deployment in SEEDS ways, from SEED on, and check that every promise held
	$(GO) test -count 1 -timeout 0 -parallel $(PARALLEL) -v -run '^TestSeeds$$' ./runtime/chaos -seed $(SEED) -seeds $(SEEDS) $(if $(HISTORIES),-keep $(abspath $(HISTORIES)))

MINUTES ?= 20
RATE ?= 50
PROFILES ?=
SOAK ?= bench/results/soak.md

soak: install-tools ## mixed load for MINUTES, with memory, goroutines, files and keys measured
	$(GO) test -count 1 -timeout 0 -v -run '^TestSoak$$' ./runtime/chaos -minutes $(MINUTES) -rate $(RATE) -table $(abspath $(SOAK)) $(if $(PROFILES),-profiles $(abspath $(PROFILES)))
