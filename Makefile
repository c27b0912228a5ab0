# The main commands are `make demo` and `make test`; both install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin

OUT ?= predictions
CONFIG ?= config/model.yaml
RUN ?= build/model
export BUNDLE SCANS OUT COHORT CONFIG RUN MODEL # a shell takes what stands in a variable of its own for a name, whatever its letters
UPGRADE ?= --upgrade

.PHONY: demo plan predict model resume lint site test bench soak install format docs lock clean

demo: install
	$(BIN)/snakemake all bundles --cores all $(ARGS)

# What a run would do, and about how long it would take: make plan ARGS="--configfile my.yaml" (docs/how-it-works.md).
plan: install
	@$(BIN)/python workflow/plan.py $(ARGS)

# New scans: make predict SCANS=scans.tsv [BUNDLE=results/bundle/stfpm] [OUT=predictions] (docs/predict.md); without a BUNDLE
# the clone's model for their contrast. After a kill the same command goes on.
predict: install
	$(BIN)/snakemake --snakefile workflow/predict/Snakefile --cores all --keep-going \
	    --config bundle="$$BUNDLE" scans="$$SCANS" out="$$OUT" $(ARGS)

# A model for new scans: make model COHORT=participants.tsv [CONFIG=my.yaml] [RUN=build/model] [MODEL=models/T2w]
# (docs/models.md). What it takes to make it lies in RUN; with a MODEL the bundle is copied there. After a kill the same command
# goes on.
model: install
	@test -e "$$COHORT" || { echo "COHORT=$$COHORT does not exist; give a table of scans (docs/own-data.md)."; exit 1; }
	mkdir -p "$$RUN"
	$(BIN)/snakemake bundles --cores all --directory "$$RUN" --configfile "$$CONFIG" \
	    --config cohort="{participants: '$$(realpath "$$COHORT")'}" $(ARGS)
	if [ -n "$$MODEL" ]; then mkdir -p "$$MODEL" && cp "$$RUN"/results/bundle/lesion-odds/* "$$MODEL"; fi

# After a kill: remove the dead run's lock and go on; refused while a run lives. ARGS are the run's: its targets, if it had
# any, and options; after `make demo` ARGS="all bundles". By the Snakemake in .venv or, without one, by that of the active
# environment.
resume: FROM := $(if $(wildcard $(BIN)/snakemake),$(BIN)/)
resume:
	$(FROM)python workflow/await_end.py
	$(FROM)snakemake --unlock $(ARGS)
	$(FROM)snakemake $(ARGS)

# What reads code and runs none of it.
lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/predict workflow/rules
	$(BIN)/snakemake --lint

# The documents as pages, build/site/index.html.
site: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Two processes of tests, of which some start several of their own.
test: lint site
	$(BIN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder --maxfail 5

# What is fast, beside what it would be otherwise: benchmarks.json; ARGS names single rows (docs/benchmarks.md).
bench: install
	$(BIN)/python workflow/bench.py $(ARGS)

# Twenty kills at random moments, then the results compared with an undisturbed run's; and the tests of all modules as an
# older processor rounds: no test may hang on the last bits of a sum.
soak: install
	$(BIN)/pytest -m soak
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem OMP_NUM_THREADS=2 \
	    $(BIN)/pytest tests/unit

install: .venv/installed

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	    f"Python 3.11 to 3.13 is needed, {sys.executable} is {v.major}.{v.minor}: try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	touch $@

# Format code and rules in place.
format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow/Snakefile workflow/predict workflow/rules

# Make the config's manual anew from its models.
docs: install
	PYTHONPATH=workflow/scripts $(BIN)/python -m stfpm3d.study.config_manual

# Make the lock anew from pyproject.toml, for all supported versions of Python; UPGRADE= to add what is missing alone.
lock: install
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --group dev --no-header $(UPGRADE) --output-file requirements.txt pyproject.toml

clean:
	rm -rf .venv .snakemake results logs benchmarks
