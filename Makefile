# The front door; CMake does the work. `make help` lists the targets.
SHELL := /bin/sh
FUZZ_SECONDS ?= 60
LISTEN ?= 127.0.0.1:3000

release: ## build into build/ (the default); the program is build/mayfly
	@scripts/build.sh build -DCMAKE_BUILD_TYPE=Release

debug: ## build into build-debug/
	@scripts/build.sh build-debug -DCMAKE_BUILD_TYPE=Debug

asan: ## build into build-asan/ with AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/build.sh build-asan -DCMAKE_BUILD_TYPE=Debug -DMAYFLY_SANITIZE=ON

aarch64: deps-aarch64 ## build for aarch64 into build-aarch64/, with the fast code generator only
	@scripts/build.sh build-aarch64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DCMAKE_BUILD_TYPE=Release

deps: ## install what building and testing need (Debian 12)
	@scripts/deps.sh

deps-aarch64: ## install what building for aarch64 and running that needs
	@scripts/deps.sh scripts/deps-aarch64.txt

deps-browser: ## install the browser in which the page is tested
	@scripts/deps.sh scripts/deps-browser.txt

deps-bench: deps ## install what the benchmarks measure against
	@scripts/deps.sh scripts/deps-bench.txt

serve: deps release ## build, then serve the example in examples/hello-c
	@build/mayfly up examples/hello-c/hello.wasm --listen $(LISTEN)

install: release ## install into PREFIX (/usr/local), with manual page and completions
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh install build

uninstall: ## remove what `make install` installed
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh uninstall build

test: deps deps-browser release asan ## every test, in the release and in the sanitizer build
	@scripts/test.sh build build-asan

test-full: deps deps-browser deps-aarch64 release asan ## the same with the long versions of the long tests
	@MAYFLY_TEST_FULL=1 scripts/test.sh build build-asan

MUTATE := test-wasm-mutate test-component-hostile test-codegen-hostile

mutate: deps ## 100,000 random mutations and every truncation of all programs, and mutations through the compiler
	@TARGET="$(MUTATE)" scripts/build.sh build-mutate -DCMAKE_BUILD_TYPE=Release -DMAYFLY_SANITIZE=ON
	@for name in $(MUTATE); do \
		MAYFLY_TEST_FULL=1 ASAN_OPTIONS=quarantine_size_mb=4 build-mutate/tests/$$name || exit 1; done

fuzz: deps ## fuzz targets with libFuzzer, FUZZ_SECONDS (60) each; FUZZ="decode image" chooses
	@scripts/deps.sh scripts/deps-fuzz.txt
	@CC=clang-19 CXX=clang++-19 TARGET=fuzzers scripts/build.sh build-fuzz -DCMAKE_BUILD_TYPE=Release -DMAYFLY_SANITIZE=ON -DMAYFLY_FUZZ=ON
	@scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS) $(FUZZ)

bench: deps-bench release ## code speed against native and wasmtime, call costs, compile speed
	@python3 bench/code.py

bench-start: deps-bench release ## start and teardown of an instance: time, pages, memory
	@python3 bench/start.py

bench-counts: deps-bench release ## faults, system calls and allocations of all processes for each request
	@python3 bench/start.py --counts

bench-first: deps-bench release ## from spawning the process to the first answer, for files that the cache lacks and has
	@python3 bench/first.py

bench-load: release ## from an image that a running worker has not mapped to its first answer
	@folder=$$(mktemp -d); for name in hello-c hello-rust; do \
		echo "$$name"; build/mayfly compile --tier best examples/$$name/hello.wasm -o $$folder/image >/dev/null && \
		build/bench-load $$folder/image || exit 1; done; rm -r $$folder

bench-serve: deps-bench release ## hello over HTTP against nginx, a bare loop and wasmtime
	@python3 bench/serve.py

bench-many: deps-bench release ## two and a thousand functions in one worker, asked for in turn
	@python3 bench/many.py

bench-apps: release ## a thousand components: start, memory of idle ones; and how soon watch answers anew
	@python3 bench/apps.py

bench-tier: deps-bench release ## latency while a better image is made beside the load, and when it serves
	@python3 bench/tier.py

bench-stream: deps-bench release ## bodies of 1 GiB through an echo handler, against nginx before an echo server
	@python3 bench/stream.py

SPIN ?= rust js python go own runtime

spin: release ## applications of Spin's users and Spin's own examples, fetched and built; SPIN="rust own" chooses, SPIN_SOURCES has repositories
	@python3 tests/spin/run.py build/mayfly $(SPIN)

bindings: ## regenerate src/wasi/gen from wit/
	@TARGET=wit-bindings scripts/build.sh build -DCMAKE_BUILD_TYPE=Release
	@build/wit-bindings --out src/wasi/gen --include wasi/gen --implemented wit/implemented.txt wit/*.wit wit/drafts/*.wit

lint: release ## the rules of the house, form, and clang-tidy
	@python3 tests/tidy/tidy.py rules
	@python3 tests/tidy/tidy.py format || [ $$? = 77 ]
	@python3 tests/tidy/tidy.py clang || [ $$? = 77 ]

format: ## put every C file in form
	@python3 tests/tidy/tidy.py --list-c | xargs clang-format-19 -i

clean: ## remove all builds
	@rm -rf build build-debug build-asan build-aarch64 build-fuzz build-mutate

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: deps-browser release debug asan aarch64 install uninstall deps deps-aarch64 deps-bench serve test test-full mutate fuzz bench bench-start bench-counts bench-first bench-load bench-serve bench-many bench-apps bench-tier bench-stream spin \
	bindings lint format clean help
