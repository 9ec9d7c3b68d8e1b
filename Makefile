# vxlnat: build, check, test and show the whole system. `make help` lists the
# verbs. Every verb does its own set-up (see scripts/setup).

SHELL := /bin/bash
NODE_PREFIX := $(shell node -p \
  'require("path").dirname(require("path").dirname(process.execPath))')
NODEDIR := $(if $(wildcard $(NODE_PREFIX)/include/node/node_api.h),\
  --nodedir=$(NODE_PREFIX))
NATIVE_TESTS := test test-fastpath test-tsan regress
ADDON := native/vxlnat/build/Release/vxlnat.node
TS := $(shell git ls-files -co --exclude-standard '*.ts')
CXX_FILES := $(shell git ls-files -co --exclude-standard \
  'native/vxlnat/**.cc' 'native/vxlnat/**.h')
NATIVE := $(CXX_FILES) native/vxlnat/engine/drops.def \
  native/vxlnat/binding.gyp $(shell git ls-files -co native/vxlnat/bpf)

.PHONY: help all check test demo up down bench fuzz clean

help:
	@echo 'make all     build the services and the native engine'
	@echo 'make check   formatters, linters, warnings, house rules'
	@echo 'make test    every test; ends with "N passed, N failed"'
	@echo 'make demo    RFD 158 example deployment, told and checked'
	@echo 'make up      the same system, left running to play with'
	@echo 'make down    ends what `make up` started'
	@echo 'make bench   figures as a table and build/bench.json (ONLY=core,pps)'
	@echo 'make fuzz    fuzz the native parsers (SECONDS=600 each)'
	@echo 'make clean   removes everything that was built'

all: dist/.built $(ADDON)

node_modules/.installed: package.json package-lock.json
	@scripts/setup build
	@echo 'setup: npm packages'
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

dist/.built: node_modules/.installed tsconfig.json $(TS)
	@echo 'build: TypeScript'
	@npx --no-install tsc
	@touch $@

$(ADDON): node_modules/.installed $(NATIVE)
	@echo 'build: native engine'
	@mkdir -p build
	@JOBS=2 npx --no-install node-gyp rebuild --directory native/vxlnat \
	  $(NODEDIR) --loglevel=error > build/node-gyp.log 2>&1 || \
	  { cat build/node-gyp.log; exit 1; }

check: node_modules/.installed
	@scripts/setup check
	@echo 'check: TypeScript' && npx --no-install tsc --noEmit
	@echo 'check: Biome' && npx --no-install biome ci --colors=off --error-on-warnings .
	@echo 'check: clang-format' && \
	  clang-format-14 --dry-run --Werror $(CXX_FILES)
	@$(MAKE) --no-print-directory $(ADDON) dist/.built
	@echo 'check: licences' && node scripts/licences.mjs > build/licences.txt
	@echo 'check: house rules' && node dist/test/architecture.test.js \
	  > build/architecture.tap || { grep -A12 '^not ok' \
	  build/architecture.tap; exit 1; }
	@echo 'check: clean'

test: all
	@scripts/setup test
	@node dist/test/run.js \
	  --native '$(MAKE) --no-print-directory -C native/vxlnat $(NATIVE_TESTS)'

demo: all
	@scripts/setup demo
	@node dist/demo/main.js demo

up: all
	@scripts/setup demo
	@node dist/demo/main.js up

down:
	@node dist/demo/main.js down

bench: all
	@scripts/setup bench
	@node dist/test/bench/main.js $(if $(ONLY),--only $(ONLY)) \
	  $(if $(DOCS),--docs)

fuzz:
	@scripts/setup fuzz
	@$(MAKE) -C native/vxlnat fuzz

clean:
	rm -rf dist build native/vxlnat/build native/vxlnat/build-* node_modules
