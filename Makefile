# loam's front door; meson and ninja do the work underneath. `make help` lists the targets.
BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=

.PHONY: all help deps demo check check-references install uninstall fuzz clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/install-deps.sh build
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS) >/dev/null || { meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_FLAGS); exit 1; }

help:
	@echo 'make            build build/loam'
	@echo 'make demo       install what is missing, build, and do the whole job once: train, serve, meter, bill'
	@echo 'make demo TEXT=file   the same on a text of your own'
	@echo 'make check      install what is missing, build and run every test'
	@echo 'make check-references   hold exports, tokenizers and templates against torch, transformers and their kin'
	@echo 'make install    install under PREFIX (/usr/local); make uninstall takes it away'
	@echo 'make fuzz       fuzz the parsers at length (FUZZ_SECONDS=600 each)'
	@echo 'make deps       install the packages that building and testing need'
	@echo 'make clean      remove the build folders'

deps:
	@tools/install-deps.sh check

demo:
	@tools/install-deps.sh build
	@$(MAKE) --no-print-directory all
	@tools/demo.sh $(BUILD)/loam "$(TEXT)"

# Needs torch, transformers, gguf and tensorboard from PyPI (gigabytes): not part of `make check`.
check-references: all
	@[ -x build-references/bin/python ] || python3 -m venv build-references
	@build-references/bin/pip install -q torch==2.13.0 transformers jinja2 tokenizers sentencepiece tiktoken protobuf gguf tensorboard safetensors
	@PYTHON=$(CURDIR)/build-references/bin/python meson test -C $(BUILD) train_export
	@build-references/bin/python tests/golden/compare_tokenizers.py $(BUILD)/tests/golden/tokenize_lines 100000
	@build-references/bin/python tests/golden/compare_jinja.py $(BUILD)/tests/golden/render_lines 20000

check:
	@tools/install-deps.sh check
	@tools/check.sh

install: all
	@meson install -C $(BUILD)

uninstall:
	@ninja -C $(BUILD) uninstall

FUZZ_SECONDS ?= 600
fuzz:
	@tools/install-deps.sh check
	@tools/fuzz.sh $(FUZZ_SECONDS)

clean:
	@rm -rf build build-*
