"""A Python file of the user's makes maps: the three examples of docs/own-method.md, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from stfpm3d.imaging.volumes import Volume, load_volume, save_volume
from stfpm3d.maps.foreign import OwnScan, fit_own, own_maps
from stfpm3d.maps.form import Scan
from stfpm3d.methods.own import OwnExperiment
from stfpm3d.prediction.request import check_trust
from stfpm3d.runtime.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [
    re.sub(r"^    ", "", block, flags=re.M) if block.startswith("    ") else block
    for block in re.findall(r"```python\n(.*?)^ *```", (ROOT / "docs/own-method.md").read_text("utf-8"), re.M | re.S)
]
MIRROR, LEARNED, NETWORK = EXAMPLES
HANDED = {"seed": 0, "accelerator": "cpu", "threads": 1, "precision": "32-true"}
SHAPE = (9, 10, 8)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:-1, 1:-1, 1:-1] = True


@pytest.fixture
def scans(tmp_path: Path) -> list[tuple[str, str]]:
    """Five healthy scans whose intensities are mixtures of three images, and their supports."""
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(3, *SHAPE))
    save_volume(tmp_path / "brain_mask.nii.gz", Volume(BRAIN, np.eye(4)), np.uint8)
    for number in range(6):
        data = np.tensordot(rng.normal(size=3), basis, axes=1)
        save_volume(tmp_path / f"{number}.nii.gz", Volume(data, np.eye(4)))
    return [(str(tmp_path / f"{number}.nii.gz"), str(tmp_path / "brain_mask.nii.gz")) for number in range(6)]


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], dict[str, Path]]:
    """Writes the user's file; gives the files of the method."""

    def write(text: str) -> dict[str, Path]:
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        return {"module": tmp_path / "mine.py", "brain_mask": tmp_path / "brain_mask.nii.gz"}

    return write


def image(path: str) -> np.ndarray:
    return load_volume(path).data


def fitted(files: dict[str, Path], scans: list[tuple[str, str]], **settings: int) -> dict[str, Path]:
    output = files["module"].with_name("fitted.npz")
    fit_own(files, scans, output, files["module"].with_name("resume"), settings=settings, **HANDED)
    return {**files, "fitted": output}


def test_the_mirrors_map_is_the_difference_to_the_mirror_image(scans, module) -> None:
    made = own_maps(module(MIRROR), settings={}, **HANDED)(Scan("sub-01", *scans[0]))
    data = image(scans[0][0])
    np.testing.assert_allclose(made.map.data[BRAIN], abs(data - data[::-1])[BRAIN], rtol=1e-6)
    assert made.score == made.map.data[BRAIN].max()


def test_components_of_five_scans_explain_a_sixth_of_their_mixture_and_no_lesion_in_it(scans, module, tmp_path) -> None:
    files = fitted(module(LEARNED), scans[:5], components=4)
    find = own_maps(files, settings={}, **HANDED)
    data = image(scans[5][0])
    assert find(Scan("sub-06", *scans[5])).score < 1e-4
    data[4, 5, 3] += 5
    save_volume(tmp_path / "lesion.nii.gz", Volume(data, np.eye(4)))
    found = find(Scan("sub-06", tmp_path / "lesion.nii.gz", scans[5][1])).map.data
    pca = PCA(4).fit(np.stack([image(path).ravel() for path, _ in scans[:5]]))
    rest = data.ravel() - pca.inverse_transform(pca.transform(data.ravel()[None]))[0]
    np.testing.assert_allclose(found[BRAIN], abs(rest).reshape(SHAPE)[BRAIN], atol=1e-4)
    assert np.unravel_index(found.argmax(), SHAPE) == (4, 5, 3)


class Killed(BaseException):
    """As the end of the process."""


def test_the_autoencoder_goes_on_after_a_kill(scans, module, tmp_path, monkeypatch) -> None:
    import torch

    steps: list[int] = []
    step = torch.optim.AdamW.step

    def counted(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 8:  # 3 steps an epoch: in the third
            raise Killed
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    files = module(NETWORK)
    with pytest.raises(Killed):
        fitted(files, scans, epochs=4)
    assert not (tmp_path / "fitted.npz").exists()
    files = fitted(files, scans, epochs=4)
    assert len(steps) == 8 + 6  # the third and the fourth epoch
    made = own_maps(files, settings={}, **HANDED)(Scan("sub-01", *scans[0]))
    assert np.ptp(made.map.data) > 0


def test_a_method_sees_a_scan_and_nothing_of_whose_it_is() -> None:
    assert OwnScan._fields == ("image", "brain", "affine")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 1 / 0", r"sub-01: .*mine\.py, line 3, in <lambda>|sub-01: .*mine\.py, line 4, in find: ZeroDivision"),
        ("return scan.image[1:]", r"sub-01: .*mine\.py: its map has shape \(8, 10, 8\), expected .* \(9, 10, 8\)"),
        ("return scan.image * float('nan')", r"its map has 336 voxels in the brain that are NaN or infinite"),
    ],
)
def test_a_failure_is_one_sentence(scans, module, body: str, told: str) -> None:
    text = f"def make_maps(files, settings):\n\n    def find(scan):\n        {body}\n\n    return find\n"
    with pytest.raises(InputError, match=told):
        own_maps(module(text), settings={}, **HANDED)(Scan("sub-01", *scans[0]))


def test_a_fit_that_writes_nothing_is_told(scans, module) -> None:
    with pytest.raises(InputError, match=r"mine\.py: fit wrote no file to its output"):
        fitted(module("def fit(scans, settings, output):\n    pass\n"), scans)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def make_maps(:\n", r"mine\.py, line 1: "),
        ("def maps(files, settings):\n    pass\n", r"mine\.py has no function make_maps\(files, settings\)"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_the_run(module, text: str, told: str) -> None:
    row = OwnExperiment(name="mine", method="own", module=str(module(text)["module"]))
    with pytest.raises(InputError, match=told):
        row.foreign_code()


def test_a_comment_in_the_file_reruns_nothing_and_code_does(tmp_path) -> None:
    texts = {"plain": MIRROR, "comment": f"# of mine\n{MIRROR}", "other": MIRROR.replace("abs", "-abs")}
    digests = {}
    for name, text in texts.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        (digests[name],) = OwnExperiment(name="mine", method="own", module=str(path)).foreign_code()
    assert digests["plain"] == digests["comment"] != digests["other"]


def test_a_bundle_with_code_is_refused_until_this_very_code_is_allowed(tmp_path) -> None:
    check_trust(None, "")
    (tmp_path / "module.py").write_bytes(b"")
    empty = "e3b0c44298fc"  # the sha256 of no bytes begins so (FIPS 180-2)
    for refused in ("", "yes", "e3b0"):
        with pytest.raises(InputError, match=rf"module\.py is Python code .* add trust={empty} to --config"):
            check_trust(tmp_path / "module.py", refused)
    check_trust(tmp_path / "module.py", empty)
