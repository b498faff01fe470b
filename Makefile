# Traceo's face: every target is one line of work for Meson and Ninja. `make help` lists them.

BUILD   := build
RELEASE := build/release
CHECK   := build/check
DATA    ?= traceo-data
LISTEN  ?= 127.0.0.1:4310
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc)
# make test SANITIZE=1: under AddressSanitizer and UndefinedBehaviorSanitizer
SANITIZE ?=
# make bench PROFILE=1: a table of ns a sample by stage, and flame graphs, in build/profile
PROFILE ?=
# make test ONLY=chunk: only the tests whose name contains it
ONLY    ?=
export TRACEO_TEST_DATA ?= $(abspath ../shared/data)

.PHONY: help build run test tidy format fuzz bench night clean install setup setup-check
.DEFAULT_GOAL := build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing (Debian packages; says what it installs)
	@tools/setup

build: setup ## build the release binary into build/traceo
	@test -f $(RELEASE)/build.ninja || meson setup $(RELEASE) --buildtype=release -Db_lto=false >$(BUILD)-setup.log 2>&1 || { cat $(BUILD)-setup.log; exit 1; }
	@rm -f $(BUILD)-setup.log
	@test ! -e $(RELEASE)/web/ui.left_out || rm -f $(RELEASE)/web/ui_table.c $(RELEASE)/web/ui.left_out  # try the page again
	@ninja -C $(RELEASE) -j $(JOBS) --quiet src/cli/traceo
	@ln -sf release/src/cli/traceo $(BUILD)/traceo

run: build ## build and start on http://127.0.0.1:4310 with this host's own metrics
	@$(BUILD)/traceo serve --data $(DATA) --listen $(LISTEN)

setup-check:
	@tools/setup check

test: setup-check ## build and run every test (SANITIZE=1, ONLY=name)
	@tools/run_tests $(if $(SANITIZE),--sanitize) $(if $(ONLY),--only '$(ONLY)')

tidy: setup ## what is always wrong: includes that climb a floor, private headers, banned functions, dead files
	@python3 tools/tidy.py

format: setup-check ## format the sources in place
	@git ls-files 'src/*.c' 'src/*.h' 'src/*.cc' 'bench/*.c' 'bench/*.h' | xargs clang-format -i

fuzz: setup-check ## fuzz one parser: make fuzz NAME=json SECONDS=60
	@tools/fuzz "$(NAME)" "$(or $(SECONDS),60)"

bench: setup-check build ## Traceo, prometheus and victoria-metrics on the same streams, interleaved (PROFILE=1: where the time goes)
	@$(if $(PROFILE),bench/profile,bench/run) $(BENCH_ARGS)

night: setup-check ## the long suites: crash states, kill -9, power cuts, full disks, bit rot, bombs, fuzzing
	@tools/run_tests --night
	@for name in $$(ls test/corpus); do tools/fuzz $$name $(or $(SECONDS),300) || exit 1; done

install: build ## install the binary, the manual page and completions (DESTDIR, PREFIX)
	@meson configure $(RELEASE) -Dprefix=$(PREFIX)
	@ninja -C $(RELEASE) --quiet src/cli/traceo.1 src/cli/traceo.bash src/cli/_traceo
	@DESTDIR=$(abspath $(DESTDIR)) meson install -C $(RELEASE) --no-rebuild

clean: ## remove what was built (not the data)
	@rm -rf $(BUILD) $(BUILD)-*
