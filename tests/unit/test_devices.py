"""Which devices a run may use, and what two of them leave behind."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from snakemake.io import Namedlist

from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.learning.compute import devices_found, one_device
from stfpm3d.learning.resnet import AcsResNet, load_network, save_network
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.devices import check_gpu, has_gpu, requested_gpus
from stfpm3d.study.sections import Compute

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
SIZE = 16
JOB = """
import pickle, sys
from pathlib import Path
sys.path.insert(0, {scripts!r})
snakemake = pickle.loads(Path({job!r}).read_bytes())
exec(compile(Path({script!r}).read_text(), {script!r}, "exec"))
"""


def test_a_gpu_shows_in_the_files_of_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_gpu(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()  # a driver without a card
    assert not has_gpu(tmp_path)
    (tmp_path / "dev" / "nvidia0").touch()
    assert has_gpu(tmp_path)


@pytest.mark.parametrize(
    ("accelerator", "here", "gpus"),
    [("cpu", True, 0), ("auto", False, 0), ("auto", True, 2), ("gpu", False, 2), ("gpu", True, 2)],
)
def test_auto_asks_for_the_gpus_that_are_there_and_gpu_for_those_of_a_cluster(
    accelerator: str, here: bool, gpus: int
) -> None:
    compute = Compute.model_validate({"accelerator": accelerator, "devices": 2})
    assert requested_gpus(compute, here) == gpus


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence() -> None:
    gpu = Compute(accelerator="gpu")
    check_gpu(gpu, True)
    check_gpu(Compute(), False)
    with pytest.raises(InputError, match=r"compute\.accelerator is gpu, but this machine has none"):
        check_gpu(gpu, False)
    with pytest.raises(InputError, match=r"compute\.accelerator is cuda.* does not have"), devices_found("cuda", 999):
        torch.ones(1, device="cuda:998")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"compute\.accelerator is gpu .*No supported gpu"):
            one_device("gpu", 1, "32-true")


class Job:
    """What a script sees of its Snakemake."""

    def __init__(self, folder: Path, inputs: dict, outputs: dict, params: dict) -> None:
        self.input, self.output, self.params = (Namedlist(fromdict=given) for given in (inputs, outputs, params))
        self.log = [str(folder / "rule.log")]


def test_two_devices_count_each_scan_once_and_one_of_them_speaks(tmp_path: Path) -> None:
    """Five validation scans on two devices: each gets three, so one scan twice."""
    rng = np.random.default_rng(0)
    scans = [str(tmp_path / f"sub-{index}.npy") for index in range(9)]
    for path in scans:
        np.save(path, rng.normal(size=(SIZE,) * 3).astype(np.float16))
    np.save(tmp_path / "mask.npy", np.ones((SIZE,) * 3, dtype=bool))
    write_grid(tmp_path / "grid.json", NetworkGrid(SIZE, np.diag([4.0, 4.0, 4.0, 1.0])), 0.0)
    save_network(tmp_path / "teacher.safetensors", AcsResNet("resnet18", embedding_dim=128, seed=0))
    settings = {
        "epochs": 2,
        "batch_size": 1,
        "squared": True,
        "corruption": None,
        "selection": "auroc",
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "patience": 5,
        "seed": 5,
    }
    outputs = {name: str(tmp_path / "student/student/net" / name) for name in ("model", "initial", "epochs")}
    Path(outputs["model"]).parent.mkdir(parents=True)
    outputs["model"] += ".safetensors"
    job = Job(
        tmp_path,
        {
            "train": scans[:4],
            "val": scans[4:],
            "brain_mask": str(tmp_path / "mask.npy"),
            "grid": str(tmp_path / "grid.json"),
            "teacher": str(tmp_path / "teacher.safetensors"),
        },
        outputs,
        {
            "settings": settings,
            "compute": {"accelerator": "cpu", "devices": 2, "precision": "32-true", "threads": 1},
            "val_is_patient": [False, False, False, True, True],
        },
    )
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    (tmp_path / "test_devices.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    script = tmp_path / "script.py"
    places = {"scripts": str(SCRIPTS), "job": str(tmp_path / "job.pickle"), "script": str(SCRIPTS / "student.py")}
    script.write_text(JOB.format(**places), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{SCRIPTS}:{tmp_path}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    epochs = pd.read_csv(outputs["epochs"], sep="\t")
    sixths = epochs["val_auroc"] * 6  # three healthy scans, two patients; one of them twice would make it eighths
    np.testing.assert_allclose(sixths, sixths.round(), atol=1e-5)
    load_network(Path(outputs["model"]))
    lines = Path(job.log[0]).read_text(encoding="utf-8").splitlines()
    for said in (lines, done.stderr.splitlines()):
        assert [
            line.split(": val")[0].split("INFO ")[1] for line in said if "epoch" in line and "val_auroc" in line
        ] == [
            "epoch 0 of 2",
            "epoch 1 of 2",
        ]
    assert "GLOBAL_RANK: 1" not in done.stderr + done.stdout
