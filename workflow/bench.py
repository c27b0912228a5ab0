"""Measure the project beside what it would do otherwise, and write benchmarks.json (docs/benchmarks.md).

Ratios of CPU seconds of one thread, the two sides alternating; other work on the machine then weighs on both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_workflow

sys.path.pop(0)  # this folder, whose tabulate.py would hide a library of that name
sys.path.insert(0, str(Path(__file__).parent / "scripts"))
sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torchvision.models import resnet18

from acs_reference import with_acsconv
from stfpm3d.imaging.grid import NetworkGrid, network_grid
from stfpm3d.imaging.ranking import average_precision, histogram
from stfpm3d.imaging.volumes import Volume, load_volume, save_volume
from stfpm3d.learning.folding import FoldedResNet
from stfpm3d.learning.patches import PatchGrid, TripletDataset
from stfpm3d.learning.resnet import AcsResNet, Pyramid
from stfpm3d.learning.student import FrozenTeacher, feature_losses
from stfpm3d.learning.teacher import triplet_loss
from stfpm3d.maps.form import Scan, write_maps
from stfpm3d.maps.network import BlockMaps, NetworkMaps

ROOT = Path(__file__).resolve().parents[1]
EVALUATION_PASSES = 3.5
"""How often the authors' evaluation goes over all test scans."""
GMAC_AT_224 = 47.6
"""Of a ResNet-18's blocks 1-3 with one channel at 224³."""


def cpu_seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def alternating(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> dict[str, Any]:
    """Median CPU seconds of both, and the ratio of each round: its median, least and greatest."""
    ours()
    theirs()
    pairs = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(rounds)]
    ratios = [other / own for own, other in pairs]
    own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"ours_s": own, "theirs_s": other, **spread(ratios)}


def spread(ratios: list[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"ratio": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}


def plain_network(seed: int) -> nn.Module:
    """Torchvision's ResNet-18 of one channel with acsconv's operators, in evaluation mode."""
    torch.manual_seed(seed)
    flat = resnet18()
    flat.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return with_acsconv(flat).eval()


def our_network(plain: nn.Module, embedding_dim: int | None = None) -> AcsResNet:
    """The same weights as ours; the embedding stays random."""
    network = AcsResNet("resnet18", 1, embedding_dim, seed=0)
    network.load_state_dict({k: v for k, v in plain.state_dict().items() if not k.startswith("fc.")}, strict=False)
    return network.eval()


class Whole:
    """Features after blocks 1-3 by hooks, as the authors' code takes them: the network runs to its end."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.seen = network, []
        for name in ("layer1", "layer2", "layer3"):
            network.get_submodule(name).register_forward_hook(lambda *call: self.seen.append(call[-1]))

    def __call__(self, volume: Tensor) -> Pyramid:
        self.seen.clear()
        self.network(volume)
        return Pyramid(*self.seen)


def sgemm_gflops() -> float:
    """Rate of a product of two matrices, 1024²."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(cpu_seconds(lambda: a @ a) for _ in range(10)) / 1e9


@torch.inference_mode()
def features(size: int, rounds: int) -> dict[str, Any]:
    """Features of blocks 1-3 of one volume."""
    plain = plain_network(0)
    whole, folded, volume = Whole(plain), FoldedResNet(our_network(plain)), torch.randn(1, 1, size, size, size)
    error = max(
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(folded.pyramid(volume), whole(volume), strict=True)
    )
    found = alternating(lambda: folded.pyramid(volume), lambda: whole(volume), rounds)
    gflop = 2 * GMAC_AT_224 * (size / 224) ** 3
    return {**found, "share_of_sgemm": gflop / found["ours_s"] / sgemm_gflops(), "relative_error": error}


def ball(folder: Path, size: int) -> tuple[NetworkGrid, Volume, Path]:
    """A grid of 156 mm, a ball for a brain (MNI grid of 2 mm), and a noisy scan of it, NIfTI on that grid."""
    shape = (97, 115, 97)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    places = np.indices(shape) - np.array(shape)[:, None, None, None] / 2
    brain = Volume(np.linalg.norm(places, axis=0) < 38, affine)
    noise = np.random.default_rng(0).normal(size=shape)
    scan = Volume((brain.data * (1 + ndimage.gaussian_filter(noise, 2))).astype(np.float32), affine)
    save_volume(folder / "scan.nii.gz", scan)
    save_volume(folder / "support.nii.gz", brain, np.uint8)
    return network_grid(brain, 156.0, size), brain, folder / "scan.nii.gz"


def transformed(path: Path, size: int) -> NDArray:
    """A scan as it is loaded without a prepared grid: read, normalised, cropped and scaled."""
    data = load_volume(path).data
    inside = data[data > 0]
    data = (data - inside.mean()) / inside.std()
    cube = data[9:88, 18:97, 9:88]
    return ndimage.zoom(cube, size / cube.shape[0], order=1).astype(np.float32)


def a_map(size: int, rounds: int) -> dict[str, Any]:
    """A map, from the prepared array to its file, beside one pass and all passes of the authors' evaluation."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make, theirs = _ours(folder, size), _theirs(folder, size)
        one = alternating(make, theirs, rounds)
    passes = {f"{key}_all_passes": EVALUATION_PASSES * one[key] for key in ("ratio", "least", "greatest")}
    peaks = {side: memory_of_maps_gb(side, size) for side in SIDES}
    networks = features_share(size, one["ours_s"])
    return {**one, **passes, "memory_gb": peaks, "memory_ratio": peaks["ours"] / peaks["theirs"], **networks}


@torch.inference_mode()
def features_share(size: int, map_s: float) -> dict[str, float]:
    """What maps of several experiments would cost if they shared the networks; today k of them cost k times one."""
    folded, volume = FoldedResNet(our_network(plain_network(0))), torch.randn(1, 1, size, size, size)
    folded.pyramid(volume)
    share = 2 * min(cpu_seconds(lambda: folded.pyramid(volume)) for _ in range(2)) / map_s
    return {"networks_share": share, "four_experiments_if_shared": share + 4 * (1 - share)}


def _ours(folder: Path, size: int) -> Callable[[], None]:
    grid, brain, path = ball(folder, size)
    np.save(folder / "scan.npy", transformed(path, size).astype(np.float16))
    networks = [FoldedResNet(our_network(plain_network(seed))) for seed in (0, 1)]
    maker = NetworkMaps(
        BlockMaps(networks[0], networks[1]),
        grid,
        brain,
        combine="product",
        in_medians=False,
        smoothing_mm=0,
        mirror_share=0,
        asymmetry_weight=0,
        lesion_sign=1,
    )
    scan = Scan("scan", folder / "scan.npy", folder / "support.nii.gz")
    return lambda: write_maps(folder / "table.tsv", {"map.nii.gz": scan}, maker)


def _theirs(folder: Path, size: int) -> Callable[[], None]:
    _, _, path = ball(folder, size)
    networks = [Whole(plain_network(seed)) for seed in (0, 1)]

    @torch.no_grad()
    def run() -> None:
        volume = torch.from_numpy(transformed(path, size))[None, None]
        product = torch.ones(1, 1, size, size, size)
        for teacher, student in zip(*(network(volume) for network in networks), strict=True):
            distance = (F.normalize(teacher) - F.normalize(student)).square().sum(dim=1, keepdim=True) / 2
            product = product * F.interpolate(distance, size=(size,) * 3, mode="trilinear")
        np.save(folder / "map.npy", product.numpy())

    return run


def memory_of_maps_gb(side: str, size: int) -> float:
    """Memory of making two maps beyond what a process held before, libraries, networks and scan (10⁹ bytes)."""
    code = "import bench, sys; bench.print_memory(sys.argv[1], int(sys.argv[2]))"
    return float(bench_workflow.checked([sys.executable, "-c", code, side, str(size)], Path(__file__).parent))


def print_memory(side: str, size: int) -> None:
    """Make two maps, as `SIDES` has it, and print what `memory_of_maps_gb` returns."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = SIDES[side](Path(folder), size)
        before = peak_memory_gb()
        run()
        run()
    print(peak_memory_gb() - before)


def peak_memory_gb() -> float:
    """Most memory that this process has held (10⁹ bytes)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


SIDES = {"ours": _ours, "theirs": _theirs}


def triplets(rounds: int, size: int = 112, patch: int = 32, per_scan: int = 8) -> dict[str, Any]:
    """Triplets: cut from mapped arrays, all patches at once, beside two scans loaded and three forwards a triplet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, _, path = ball(folder, size)
        np.save(folder / "scan.npy", transformed(path, size).astype(np.float16))
        brain = transformed(path, size) > 0
        data = TripletDataset(
            [folder / "scan.npy"] * 2,
            ["one", "other"],
            PatchGrid(brain, patch, 0.1),
            patch_size=patch,
            triplets_per_scan=per_scan,
            seed=0,
            epoch=0,
        )
        plain = plain_network(0)
        plain.fc = nn.Linear(512, 128)
        network = our_network(plain, 128).train()
        plain.train()

        def ours() -> None:
            patches = torch.stack([data[0], data[1]]).flatten(0, 1).transpose(0, 1).flatten(0, 1)
            triplet_loss(*network(patches).chunk(3), margin=1.0, squared=False).backward()

        def theirs() -> None:  # two triplets, a scan each, where ours are 2 x per_scan
            pairs = [(transformed(path, size), transformed(path, size)) for _ in range(2)]
            cut = [[own[:32, :32, :32], own[32:64, :32, :32], other[:32, 32:64, :32]] for own, other in pairs]
            patches = torch.from_numpy(np.array(cut))[:, :, None]
            embeddings = [plain(patches[:, place]) for place in range(3)]
            triplet_loss(*embeddings, margin=1.0, squared=False).backward()

        found = alternating(ours, theirs, rounds)
        data_only = alternating(lambda: (data[0], data[1]), lambda: [transformed(path, size) for _ in range(4)], rounds)
    for side in (found, data_only):
        for key in ("ratio", "least", "greatest"):
            side[key] *= per_scan
    return {**found, "per_s": 2 * per_scan / found["ours_s"], "data_side_ratio": data_only["ratio"]}


def student_step(rounds: int, size: int = 112) -> dict[str, Any]:
    """Forward and backward of a student on two scans, the teacher's features kept or made anew."""
    student = our_network(plain_network(1)).train()
    student.layer4.requires_grad_(False)
    kept, anew = (FrozenTeacher(our_network(plain_network(0)), cache_gb) for cache_gb in (2.0, 0.0))
    indices, volumes = torch.tensor([0, 1]), torch.randn(2, 1, size, size, size)

    def step(teacher: FrozenTeacher) -> None:
        feature_losses(teacher(indices, volumes), student.pyramid(volumes), squared=True).mean().backward()

    return alternating(lambda: step(kept), lambda: step(anew), rounds)


def evaluation(rounds: int, scans: int = 100, voxels: int = 60_000) -> dict[str, Any]:
    """Average precision over the voxels of 100 scans: histograms beside scikit-learn on all voxels."""
    rng = np.random.default_rng(0)
    maps = rng.lognormal(size=(scans, voxels)).astype(np.float32)
    lesions = rng.random((scans, voxels)) < 0.02

    def ours() -> float:
        scans = zip(maps, lesions, strict=True)
        pairs = [(histogram(values[~lesion]), histogram(values[lesion])) for values, lesion in scans]
        normal, lesion = (np.sum(side, axis=0) for side in zip(*pairs, strict=True))
        return float(average_precision(normal, lesion))

    return alternating(ours, lambda: average_precision_score(lesions.ravel(), maps.ravel()), rounds)


ROWS: dict[str, Callable[[], dict[str, Any]]] = {
    "features_112": lambda: features(112, 7),
    "features_224": lambda: features(224, 3),
    "map_112": lambda: a_map(112, 5),
    "map_224": lambda: a_map(224, 2),
    "triplets": lambda: triplets(5),
    "student_step": lambda: student_step(3),
    "map_evaluation": lambda: evaluation(3),
    **bench_workflow.ROWS,
}


def main() -> None:
    """Measure the rows that the command line names, or all, and write each into the file as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all, if none is named")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(given.output.read_text()) if given.output.exists() else {}
    for name in given.rows or ROWS:
        start = time.monotonic()
        found[name] = ROWS[name]()
        print(f"{name}: {json.dumps(found[name])} ({time.monotonic() - start:.0f} s)", flush=True)
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
