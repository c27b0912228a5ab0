"""ACS ResNets: torchvision's 2D networks on volumes, their random or given weights, and their feature pyramid."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from stfpm3d.learning.acs import AcsConv3d, channels_last, to_acs
from stfpm3d.learning.weights import halved, read_form, reading, write_tensors, write_weights
from stfpm3d.runtime.errors import InputError

Architecture = Literal["resnet18", "resnet34", "resnet50"]

BLOCKS = {
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
}


STRIDES = (4, 8, 16)
BEYOND_PYRAMID = ("layer4.", "fc.")
"""How the parameters begin that no pyramid needs."""


class Pyramid(NamedTuple):
    """Features after ResNet blocks 1-3, (N, channels, X, Y, Z) at 1/4, 1/8 and 1/16 of the input's size.

    Position i of a block sees a field that is centred on voxel `stride` * i of the input, its `STRIDES` being 4, 8, 16.
    """

    block1: Tensor
    block2: Tensor
    block3: Tensor


class AcsResNet(ResNet):
    """torchvision's ResNet with ACS convolutions, on volumes (N, in_channels, X, Y, Z).

    The names and the shapes of its parameters are torchvision's, but for the stem's input channels and for `fc`:
    a linear embedding of `embedding_dim`, or, with None, the pooled features as they are. Without `fc` ResNet-18 has
    11,170,240 parameters with one channel and, as in the paper, 11,173,376 with two. The random weights (torchvision's
    initialisation) are a function of `seed` alone and leave the global random state as it was.
    """

    def __init__(
        self, architecture: Architecture, in_channels: int = 1, embedding_dim: int | None = None, *, seed: int
    ) -> None:
        block, layers = BLOCKS[architecture]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            super().__init__(block, layers)
            to_acs(self)
            self.conv1 = AcsConv3d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
            features = 512 * block.expansion
            self.fc = nn.Identity() if embedding_dim is None else nn.Linear(features, embedding_dim)
        self.architecture: Architecture = architecture
        self.in_channels = in_channels
        self.embedding_dim = embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, embedding_dim) of volumes (N, in_channels, X, Y, Z)."""
        return super().forward(channels_last(x))

    def pyramid(self, volumes: Tensor) -> Pyramid:
        """Features of volumes (N, in_channels, X, Y, Z) after blocks 1-3; layer4 and fc are not run."""
        return self.blocks(self.maxpool(self.relu(self.bn1(self.conv1(channels_last(volumes))))))

    def blocks(self, stem: Tensor) -> Pyramid:
        """Features after blocks 1-3 of what the stem made of volumes, (N, 64, X/4, Y/4, Z/4)."""
        block1 = self.layer1(stem)
        block2 = self.layer2(block1)
        return Pyramid(block1, block2, self.layer3(block2))


class Absent(nn.Module):
    """A layer that a file or a reader leaves out: no channels come out of it."""

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, C, ...) the first 0 channels."""
        return x[:, :0]


def load_checkpoint(network: AcsResNet, path: Path, *, pyramid_only: bool = False) -> None:
    """Load a torchvision checkpoint (.pth) or a .safetensors file into a network, strictly but for stem and fc.

    With `pyramid_only` the file may lack `BEYOND_PYRAMID`: the network's own parameters stay there.

    An RGB stem is summed over its planes to the one channel of a scan; scan and atlas take one plane each, times 1.5
    (both as in the authors' published code). `fc` is taken if it fits: ImageNet's classes are left out, and the
    network's own embedding stays. For the rest torch's own strict loading decides: torchvision's published files are
    older than the batch norms' `num_batches_tracked`, and lack it.

    Raises
    ------
    InputError
        If the file is unreadable, would run code when unpickled, or belongs to another architecture.
    """
    weights = _read_weights(path)
    stem = weights.get("conv1.weight")
    if stem is not None and stem.shape[1:2] == (3,):
        weights["conv1.weight"] = _stem_of(stem.float(), network.in_channels)
    head = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("fc.")}
    given = {name: weights[name] for name in weights if name.startswith("fc.")}
    if not head or _shapes(head) != _shapes(given):
        for name in given:
            del weights[name]
        weights.update(head)
    if pyramid_only:
        weights = _with_own_end(weights, network)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = textwrap.shorten(str(error).partition("\n")[2], 150, placeholder=" …")
        raise InputError(
            f"{path}: expected the weights of torchvision's {network.architecture} with 3 or {network.in_channels} "
            f"input channels, but parameters are missing, unknown or of another shape ({first}); give a checkpoint of "
            "this architecture or change `architecture`."
        ) from error


def _with_own_end(weights: MutableMapping[str, Tensor], network: AcsResNet) -> MutableMapping[str, Tensor]:
    """Named tensors; where they end with block 3, the network's own `BEYOND_PYRAMID` besides."""
    if not any(name.startswith("layer4.") for name in weights):
        own = network.state_dict().items()
        weights.update({name: tensor for name, tensor in own if name.startswith(BEYOND_PYRAMID)})
    return weights


def _stem_of(rgb: Tensor, in_channels: int) -> Tensor:
    """An RGB stem (64, 3, 7, 7) for inputs of `in_channels` channels, scaled up for the planes that are left out."""
    if in_channels == 1:
        return rgb.sum(dim=1, keepdim=True)
    return rgb[:, :in_channels] * (3 / in_channels)


def _beyond(last_block: int) -> tuple[str, ...]:
    """How the parameters begin that come after a block of 1 to 4."""
    later = tuple(f"layer{block}." for block in range(last_block + 1, 5))
    return (*later, "fc.") if later else ()


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _read_weights(path: Path) -> MutableMapping[str, Tensor]:
    """Named tensors of a file; nothing that a user hands in is ever unpickled into more than tensors.

    A state dict's version of its layers (`_metadata`), by which torch knows what an old file may lack, stays with it.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; expected a network's weights.") from error
    except Exception as error:  # damaged bytes fail in the unpickler in many ways, an IndexError among them
        raise InputError(
            f"{path}: expected a file of plain tensors (torchvision's .pth or .safetensors), but it holds other "
            "objects or is damaged; save the network's state_dict() and give that file."
        ) from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()
    ):
        raise InputError(
            f"{path}: expected the network's state_dict (names and tensors), as torchvision publishes it; "
            "save the network's state_dict() alone and give that file."
        )
    return weights


def save_network(path: Path, network: AcsResNet) -> None:
    """Write a network's weights and what is needed to build it again (as metadata) to a .safetensors file."""
    write_weights(
        path, network, {name: getattr(network, name) for name in ("architecture", "in_channels", "embedding_dim")}
    )


def save_pyramid(path: Path, source: Path, last_block: int = 3) -> None:
    """Write a network's file anew without what comes after a block of its pyramid.

    In half precision where nothing is lost, as of the clone's ImageNet weights: of other weights a map would change by
    more than a thousandth of its range.
    """
    kept = {name: tensor for name, tensor in load_file(source).items() if not name.startswith(_beyond(last_block))}
    write_tensors(path, halved(kept, most_lost=0), read_form(source))


def load_network(path: Path, last_block: int = 4) -> AcsResNet:
    """Return the network that `save_network` wrote, in evaluation mode.

    With a `last_block` of 1 to 3 what comes after it is `Absent`: a file of `save_pyramid` is enough, and no time is
    lost on what nobody looks at.

    Raises
    ------
    InputError
        When the file is damaged, or holds the weights of another network.
    """
    with reading(path):
        form = read_form(path)
        network = AcsResNet(form["architecture"], form["in_channels"], form["embedding_dim"], seed=0)
        weights = load_file(path)
        for name in _beyond(last_block):
            setattr(network, name.rstrip("."), Absent())
            weights = {key: tensor for key, tensor in weights.items() if not key.startswith(name)}
        network.load_state_dict(weights)
    return network.eval()
