"""Which devices a run may use, and what two of them leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric import Fabric

from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.learning.compute import one_device
from stfpm3d.learning.resnet import AcsResNet, load_network, save_network
from stfpm3d.learning.training import devices_found
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.devices import check_gpu, has_gpu, requested_gpus
from stfpm3d.study.sections import Compute

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
SIZE = 16
SETTINGS = {
    "epochs": 2,
    "batch_size": 2,
    "squared": True,
    "corruption": None,
    "selection": "auroc",
    "learning_rate": 0.1,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "patience": 5,
    "seed": 5,
}
SNAKEFILE = """
rule student:
    input: **{input!r}
    output: **{output!r}
    log: "rule.log"
    params: **{params!r}
    script: {script!r}
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
    with pytest.raises(InputError, match=r"99 devices are asked for, which .* not have"), devices_found("gpu", 99):
        Fabric(accelerator="gpu", devices=99)


def test_maps_are_made_where_and_how_lightning_would(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    for precision in ("32-true", "16-mixed", "bf16-mixed"):
        fabric, place = Fabric(accelerator="cpu", precision=precision), one_device("cpu", threads, precision)
        assert place.device == fabric.device
        for context in (fabric.autocast(), place.autocast()):
            with context:
                assert torch.is_autocast_enabled("cpu") == (precision != "32-true")
                assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert one_device("auto", threads, "32-true").device.type == "cpu"
    with pytest.raises(InputError, match=r"accelerator gpu .* does not have"):
        one_device("gpu", threads, "32-true")


def test_two_devices_count_each_scan_once_and_one_of_them_speaks(tmp_path: Path) -> None:
    """Five validation scans on two devices: each gets three, so one scan twice."""
    rng = np.random.default_rng(0)
    scans = [f"sub-{index}.npy" for index in range(9)]
    for path in scans:
        np.save(tmp_path / path, rng.normal(size=(SIZE,) * 3).astype(np.float16))
    np.save(tmp_path / "mask.npy", np.ones((SIZE,) * 3, dtype=bool))
    write_grid(tmp_path / "grid.json", NetworkGrid((SIZE, SIZE, SIZE), np.diag([4.0, 4.0, 4.0, 1.0])), 0.0)
    save_network(tmp_path / "teacher.safetensors", AcsResNet("resnet18", embedding_dim=128, seed=0))
    files = {"brain_mask": "mask.npy", "grid": "grid.json", "teacher": "teacher.safetensors"}
    outputs = {"model": "model.safetensors", "initial": "initial.safetensors", "epochs": "epochs.tsv"}
    job = {
        "input": {"train": scans[:4], "val": scans[4:], **files},
        "output": {name: f"results/student/net/{path}" for name, path in outputs.items()},
        "params": {
            "settings": SETTINGS,
            "compute": {"accelerator": "cpu", "devices": 2, "precision": "32-true", "threads": 1},
            "val_is_patient": [False, False, False, True, True],
        },
    }
    snakefile = SNAKEFILE.format(**job, script=str(SCRIPTS / "student.py"))
    (tmp_path / "Snakefile").write_text(snakefile, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    sixths = 6 * pd.read_csv(tmp_path / job["output"]["epochs"], sep="\t")["val_auroc"]
    np.testing.assert_allclose(sixths, sixths.round(), atol=1e-5)  # of 3 x 2 pairs; a scan twice makes it eighths
    load_network(tmp_path / job["output"]["model"])
    assert not list(tmp_path.glob("results/checkpoints/student/*"))
    log = (tmp_path / "rule.log").read_text(encoding="utf-8")
    assert [line.split("epoch ")[1][:6] for line in log.splitlines() if "val_auroc" in line] == ["0 of 2", "1 of 2"]
    assert "GLOBAL_RANK: 1" not in done.stderr + done.stdout
