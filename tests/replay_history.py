"""Tell what each commit of this repository's history would have run again.

Run it as `python tests/replay_history.py`: for every step of the first-parent history it prints the scripts whose
digest changed, and at the end how often each did, beside what a digest of whole modules would have done. A script that
a step adds or renames is not counted there. What follows from a rule that runs again does so too, and is not counted.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "workflow/scripts"
sys.path.insert(0, str(ROOT / SCRIPTS))

from closure import closure, parsed  # noqa: E402
from stfpm3d.runtime.definitions import Definitions  # noqa: E402


def main() -> None:
    """Print what every step would have run again, and how often each script would have run."""
    counts: dict[str, Counter[str]] = {"definitions": Counter(), "modules": Counter()}
    before: dict[str, dict[str, str]] = {}
    commits = git("log", "--first-parent", "--reverse", "--format=%h %s").splitlines()
    for commit, _, subject in (line.partition(" ") for line in commits):
        now = digests(commit)
        print(f"{commit} {subject}")
        for kind, of_scripts in now.items():
            earlier = before.get(kind, {})
            changed = [script for script, digest in of_scripts.items() if earlier.get(script, digest) != digest]
            counts[kind].update(changed)
            print(f"    {kind:12}{len(changed):3}: {' '.join(changed)}")
        before = now
    print(f"\n{len(commits) - 1} steps; how often the digest of a script changed\n{'definitions':>12}{'modules':>9}")
    for script in sorted(before["modules"]):
        print(f"{counts['definitions'][script]:12}{counts['modules'][script]:9}  {script}")
    print(f"{counts['definitions'].total():12}{counts['modules'].total():9}  in all")


def git(*arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def digests(commit: str) -> dict[str, dict[str, str]]:
    """Two digests of each script of a commit: of the definitions that it reaches, and of whole modules."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "scripts.tar")
        git("archive", f"--output={archive}", commit, SCRIPTS)
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        root = Path(folder, SCRIPTS)
        definitions, scripts = Definitions(root), sorted(root.glob("*.py"))
        return {
            "definitions": {script.stem: definitions.digest(script) for script in scripts},
            "modules": {script.stem: digest_of_modules(script, root) for script in scripts},
        }


def digest_of_modules(script: Path, root: Path) -> str:
    """Digest of a script and of all modules that it imports, directly or not, without docstrings."""
    texts = [f"{path.relative_to(root)}\n{text_of_module(path)}\n" for path in sorted(closure(script, root))]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


@cache
def text_of_module(path: Path) -> str:
    """The syntax tree of a file without docstrings."""
    tree = parsed(path)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [
                each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
    return ast.dump(tree)


if __name__ == "__main__":
    main()
