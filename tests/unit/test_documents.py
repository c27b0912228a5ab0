"""What the documents say to type works: commands are run, dry, and pieces of config are read."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

import nibabel as nib
import numpy as np
import pytest
import yaml
from markdown.extensions.toc import slugify
from snakemake.utils import update_config

import planning
from project import copy_workflow
from stfpm3d.study.config import read_config

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = {".venv/bin/pre-commit", "conda", "cp", "dcm2niix", "du", "git", "mkdir", "sbatch", "tmux"}
"""Programs that the documents name and that are not this project's."""
PROFILE = {"default-resources", "set-resources", "jobs"}
"""Keys of pieces of a Snakemake profile."""


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language in all documents, indented ones too, without their indentation."""
    pattern = rf"^( *)```{language}\n(.*?)^ *```"
    found = [re.findall(pattern, path.read_text(encoding="utf-8"), re.M | re.S) for path in DOCUMENTS]
    return [re.sub(f"^{indent}", "", text, flags=re.M) for matches in found for indent, text in matches]


def commands() -> list[list[str]]:
    """Every command in the documents once, as words, but those that say of themselves that they were not run."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.split(" | ")[0], comments=True) for line in lines if "not run" not in line]
    return [list(command) for command in dict.fromkeys(map(tuple, words)) if command]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with `my.yaml`, `judge.yaml`, what they name, and folders named as IXI's and BraTS' in the documents."""
    folder = tmp_path_factory.mktemp("clone")
    copy_workflow(folder)
    shutil.copy(folder / "config/own-data.yaml", folder / "my.yaml")
    rows = ["participant_id\tgroup\tsite\timage\tlesion_mask\tskull_stripped"]
    judge = (folder / "config/judge.yaml").read_text(encoding="utf-8")
    (folder / "judge.yaml").write_text(judge.replace("data/participants.tsv", "participants.tsv"), encoding="utf-8")
    for name in ("scans", "maps"):
        (folder / name).mkdir()
    for number in range(30):
        (folder / f"maps/sub-{number:02}.nii.gz").touch()
        image = f"scans/{number}.nii.gz"
        nib.save(nib.Nifti1Image(np.zeros((20, 20, 20), np.uint8), np.diag([8.0, 8, 8, 1])), folder / image)
        rows.append(f"sub-{number:02}\t{'patient' if number % 3 == 2 else 'healthy'}\there\t{image}\tn/a\tfalse")
    (folder / "participants.tsv").write_text("\n".join(rows))
    (folder / "resnet18.pth").touch()
    for path in ("IXI-T2/IXI002-Guys-0828-T2", "BraTS2021/BraTS2021_00000_t2", "BraTS2021/BraTS2021_00000_seg"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / f"{path}.nii.gz").touch()
    return folder


def dry(command: list[str]) -> list[str]:
    """The command as it is run here: without doing anything, in this environment."""
    program, *arguments = [word.replace("CLONE/", "") for word in command]
    arguments = [word for word in arguments if word != "--use-conda"]  # there may be no conda
    if program == "make":
        return ["make", "--dry-run", *arguments]
    name = program.removeprefix(".venv/bin/")
    if name == "snakemake":
        return [name, *arguments, "--dry-run", "--quiet", "rules"]
    if name == "pytest":
        return [sys.executable, "-m", name, "--collect-only", "-q", *(str(ROOT / path) for path in arguments)]
    if name == "python" and arguments[:1] == ["workflow/tabulate.py"]:
        return [sys.executable, *arguments, "--output", "written.tsv"]
    if name == "python":
        return [sys.executable, *arguments]
    raise ValueError(f"{program} is no program of this project; is it one of NOT_RUN?")


OWN = [command for command in commands() if command[0] not in NOT_RUN]
RUN = dict.fromkeys(tuple(dry(command)) for command in OWN if "workflow/predict/Snakefile" not in command)
"""Without those of predict, which need a bundle: `tests/workflow/test_predict.py` runs them."""


@pytest.mark.parametrize("command", RUN, ids=" ".join)
def test_a_command_in_the_documents_does_what_it_says(folder: Path, command: tuple[str, ...]) -> None:
    if command[0] == "snakemake":
        status, output = planning.snakemake(folder, command[1:])
    else:
        done = subprocess.run(command, cwd=folder, stdout=PIPE, stderr=STDOUT, text=True, check=False)
        status, output = done.returncode, done.stdout
    assert status == 0, output[-4000:]


def test_a_tab_in_the_config_of_the_runs_folder_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("cohort:\n\tmodality: T2w\n")
    status, output = planning.snakemake(tmp_path, ["--dry-run", "--snakefile", str(ROOT / "Snakefile")])
    assert status == 1 and "config/config.yaml is no YAML, which is indented by spaces alone: while" in output
    assert "line 2, column 1" in output


def test_links_in_what_is_no_page_of_the_site_lead_somewhere() -> None:
    """`mkdocs build` checks those of the site."""
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        links = re.findall(r"\]\((?!http)([^)#]+)(?:#([^)]+))?\)", path.read_text(encoding="utf-8"))
        for target, anchor in links:
            assert (path.parent / target).exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)$", (path.parent / target).read_text(encoding="utf-8"), re.M)
                assert anchor in [slugify(heading, "-") for heading in headings], f"{target}#{anchor}"


def test_pieces_of_config_in_the_documents_are_configs() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    inline = re.findall(r"`(\w+: \{[^`{}]*\})`", text)
    pieces = [yaml.safe_load(piece) for piece in [*blocks("yaml"), *inline]]
    assert len(pieces) > 8
    for piece in (piece for piece in pieces if not set(piece) <= PROFILE):
        config = yaml.safe_load((ROOT / "config/own-data.yaml").read_text(encoding="utf-8"))
        update_config(config, piece)
        read_config(config)
