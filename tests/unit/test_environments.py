"""Every rule finds what its script imports in the environment that it names, and per-subject jobs import little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from closure import closure
from stfpm3d.methods.registry import METHODS, declaration

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
ENVIRONMENTS = ("imaging", "learning", "prediction", "snakemake")
FILES = [*sorted((ROOT / "workflow" / "rules").glob("*.smk")), ROOT / "workflow" / "predict" / "Snakefile"]
RULES = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
BLOCKS = re.findall(r"^ *(?:use )?rule \w.*?(?=^ *(?:use )?rule \w|\Z)", RULES, flags=re.DOTALL | re.MULTILINE)
PER_SUBJECT = sorted(
    set(re.findall(r'log:\s+"[^"{]*(?:\{sampling\})?\{sub\}.*?\.\./scripts/(\w+)\.py"', RULES, flags=re.DOTALL))
)
LIGHT = {"numpy", "nibabel", "SimpleITK", "scipy", "tqdm"}
HEAVY = {"ants", "torch", "torchvision", "torchio", "lightning", "nilearn", "pandas", "sklearn", "matplotlib"}


def named(pattern: str, block: str) -> str:
    """The one name that a pattern finds in a rule; nothing where it finds none."""
    found = set(re.findall(pattern, block))
    assert len(found) < 2, block
    return "".join(found)


def environments_of_scripts() -> set[tuple[str, str]]:
    """Each script and an environment in which a rule runs it; what a rule made from another leaves out is as there."""
    runs: dict[str, tuple[str, str]] = {}
    for block in BLOCKS:
        base, name = re.findall(r"^ *(?:use rule (\w+) as|rule) (\w+)", block)[0]
        script, conda = named(r'\.\./scripts/(\w+)\.py"', block), named(r'envs/(\w+)\.yaml"', block)
        assert conda == named(r'environment\("(\w+)"\)', block), name
        conda = conda or ("learning" if "own_conda" in block else "")  # unless the user's row names another
        if script or base:
            inherited = runs[base] if base else ("", "")
            runs[name] = script or inherited[0], conda or inherited[1]
    return set(runs.values())


RUNS = sorted(environments_of_scripts())


def normalized(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(environment: str) -> dict[str, str]:
    """The versions of an environment's packages from PyPI."""
    content = yaml.safe_load((ROOT / "envs" / f"{environment}.yaml").read_text(encoding="utf-8"))
    (packages,) = (entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    return dict(package.split("==") for package in packages)


def modules(files: Iterable[Path]) -> set[str]:
    """The top-level modules of other projects that files import anywhere."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"stfpm3d", "snakemake"}  # Snakemake hands its object to the script


@cache
def imported(script: str) -> set[str]:
    """The top-level modules of other projects that a script and the package's modules behind it import."""
    return modules(closure(SCRIPTS / f"{script}.py", SCRIPTS))


@cache
def distributions() -> dict[str, set[str]]:
    """The distributions that hold each top-level module."""
    return {module: {normalized(name) for name in names} for module, names in packages_distributions().items()}


def unprovided(imported: set[str], environment: str) -> set[str]:
    """The modules whose distributions the environment does not pin."""
    pins = {normalized(name) for name in pinned(environment)}
    return {name for name in imported if not pins & distributions()[name]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_holds_the_versions_of_the_lock(environment: str) -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    locked = {normalized(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, flags=re.MULTILINE)}
    if environment == "snakemake":  # its SLURM plugin wants a newer numpy than antspyx, which only jobs need
        locked["numpy"] = pinned("snakemake")["numpy"]
    assert {name: locked.get(normalized(name)) for name in pinned(environment)} == pinned(environment)


@pytest.mark.parametrize("recipe", ["Containerfile", "stfpm3d.def"])
def test_the_image_of_all_rules_is_the_lock_on_the_python_of_the_environments(recipe: str) -> None:
    text = (ROOT / recipe).read_text(encoding="utf-8")
    assert "pip install --no-cache-dir --no-deps --requirement /tmp/requirements.txt" in text
    pythons = {
        entry
        for environment in ENVIRONMENTS
        for entry in yaml.safe_load((ROOT / "envs" / f"{environment}.yaml").read_text())["dependencies"]
        if isinstance(entry, str) and entry.startswith("python=")
    }
    assert pythons == {f"python={version}" for version in re.findall(r"python:(3\.\d+)-slim", text)}


def test_imaging_needs_no_torch() -> None:
    assert not {"torch", "torchvision", "lightning", "torchio", "acsconv"} & {*pinned("imaging")}


def test_every_script_is_that_of_a_rule() -> None:
    assert {script for script, _ in RUNS} == {path.stem for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize(("script", "environment"), RUNS)
def test_a_rules_environment_provides_what_its_script_imports(script: str, environment: str) -> None:
    assert imported(script)
    assert not unprovided(imported(script), environment)


def test_every_methods_maps_are_made_in_environments_which_provide_what_they_import() -> None:
    for method, row in zip(METHODS, map(declaration, METHODS), strict=True):
        if row.maker:
            maker = row.maker.partition(":")[0].replace(".", "/")
            own = "learning" if row.runs_in == "own" else row.runs_in
            for environment in (own, "prediction"):  # of which predict_scan finds it by name
                assert not unprovided(imported(maker), environment), method


def test_the_drivers_environment_provides_what_the_rules_import() -> None:
    names = re.findall(r"^\s*from (stfpm3d[\w.]+) import", RULES, flags=re.MULTILINE)
    assert "stfpm3d.imaging.headers" in names  # checked before any job
    names += [declaration(method).__module__ for method in METHODS]  # which the config finds by name
    files = {file for name in names for file in closure((SCRIPTS / Path(*name.split("."))).with_suffix(".py"), SCRIPTS)}
    assert not unprovided(modules(files), "snakemake")


def imports(script: str) -> str:
    """A script's import statements; the script itself runs when it is imported."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    return "; ".join(ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))


def test_a_per_subject_script_imports_little() -> None:
    """Hundreds of jobs pay for an import; ANTs is left to the function that registers."""
    assert {"register", "strip", "standardize", "grid"} <= set(PER_SUBJECT)
    lines = [f"{imports(script)}; print({script!r}, *sys.modules)" for script in PER_SUBJECT]
    command = [sys.executable, "-c", "\n".join(["import sys", *lines])]
    done = subprocess.run(command, cwd=SCRIPTS, check=True, capture_output=True, text=True)
    for script, *names in map(str.split, done.stdout.splitlines()):
        loaded = {name.partition(".")[0] for name in names}
        assert {"stfpm3d", "numpy", "SimpleITK"} <= loaded
        assert imported(script) & loaded <= LIGHT, script
        assert not loaded & HEAVY, script
