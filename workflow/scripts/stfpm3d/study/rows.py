"""The config's rows of networks: teachers, students, GANs and segmenters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from stfpm3d.runtime.section import Fraction, Name, Section, Seed


class Teacher(Section):
    """A teacher: patch learning on healthy and diseased scans. Reruns: that teacher, its students, and what follows."""

    name: Name = Field(description="Name of the row, and of its folder.")
    architecture: Literal["resnet18", "resnet34", "resnet50"] = Field(
        default="resnet18", description="torchvision's network to convert."
    )
    weights: str = Field(
        default="random",
        description="What to start from: `random`, `imagenet` (torchvision's weights; those of a `resnet18` with 0"
        " epochs come with the clone, others are downloaded), or the path of a torchvision checkpoint.",
    )
    atlas: str = Field(
        default="none",
        description="Second input channel of the teacher and its students: `none`; `coordinates`, the mean of a "
        "voxel's three coordinates in the crop; or the path of a label or probability map in the template's space.",
    )
    input_scale: Annotated[float, Field(ge=0.1, le=4)] | None = Field(
        default=None,
        description="Network voxels per mm for this teacher and its students; without it `grid.size`'s.",
    )
    seed: Seed = Field(default=0, description="Seed of weights and triplets.")
    balance: Literal["equal", "all"] = Field(
        default="equal",
        description="`equal`: the smaller group whole and as many of the larger; `all`: every training scan.",
    )
    epochs: Annotated[int, Field(ge=0)] = Field(
        default=20, description="Epochs of patch learning; 0 keeps the initial weights."
    )
    batch_size: PositiveInt = Field(default=2, description="Scans in a step.")
    triplets_per_scan: PositiveInt = Field(default=8, description="Triplets drawn from each scan of a step.")
    patch_size: Annotated[int, Field(ge=8)] = Field(default=32, description="Edge of a patch in network voxels.")
    min_brain_fraction: Fraction = Field(
        default=0.5,
        description="Least share of brain in a patch; 0 as in the paper's text, where only anchors of background alone"
        " are discarded.",
    )
    margin: PositiveFloat = Field(default=1.0, description="Margin of the triplet loss.")
    squared: bool = Field(default=True, description="Squared distances (paper, eq. 3-4) or plain ones (authors' code).")
    learning_rate: PositiveFloat = Field(
        default=0.001, description="SGD learning rate; the paper's 0.1 diverges with squared distances."
    )
    momentum: Fraction = Field(default=0.0, description="SGD momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="SGD weight decay.")
    lr_step_epochs: PositiveInt = Field(default=10, description="Epochs between two decays of the learning rate.")
    lr_decay: Fraction = Field(default=0.8, description="Factor of such a decay.")


class Student(Section):
    """A student: it matches a teacher on healthy scans. Reruns: that student, its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    teacher: Name = Field(description="Name of the teacher row to learn from.")
    seed: Seed = Field(default=1, description="Seed of the initial weights and the order of scans.")
    epochs: PositiveInt = Field(default=20, description="Most epochs of training.")
    batch_size: PositiveInt = Field(default=2, description="Scans in a step.")
    squared: bool = Field(default=True, description="Squared distances (paper, eq. 5) or plain ones (authors' code).")
    corruption: Literal["noise", "lesions", "acquisition"] | None = Field(
        default=None,
        description="A denoising student sees training scans with smooth `noise`, with synthetic `lesions`, or as a"
        " random `acquisition` would give them (other contrast, blur, slices, bias, noise and stripping); its teacher"
        " sees the clean ones.",
    )
    learning_rate: PositiveFloat = Field(default=0.4, description="SGD learning rate.")
    momentum: Fraction = Field(default=0.0, description="SGD momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="SGD weight decay.")
    selection: Literal["auroc", "synthetic_ap", "loss"] = Field(
        default="synthetic_ap",
        description="What chooses the epoch on validation scans: `synthetic_ap`, the mean average precision on"
        " synthetic lesions in healthy scans; `auroc` of patients against healthy scans (the paper; without patients"
        " `synthetic_ap` takes its place); ties go to the lower `loss` on healthy scans; or that loss alone.",
    )
    patience: PositiveInt = Field(default=5, description="Epochs without improvement before training stops.")


class Gan(Section):
    """An f-AnoGAN on healthy scans: a GAN, then its encoder. Reruns: both, their maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    seed: Seed = Field(default=2, description="Seed of weights, latent vectors and the order of scans.")
    size: Annotated[int, Field(ge=32, multiple_of=16)] = Field(
        default=64, description="Edge in voxels of this network's cube: `grid.crop_mm` wide, or around the brain's box."
    )
    width: PositiveInt = Field(
        default=64, description="Channels next to the scan; the deepest layers have 8 times as many."
    )
    latent_dim: PositiveInt = Field(default=128, description="Length of a latent vector.")
    gan_epochs: PositiveInt = Field(default=250, description="Epochs of the GAN; the last one's weights are kept.")
    encoder_epochs: PositiveInt = Field(
        default=250,
        description="Epochs of the encoder; the best on healthy validation scans is kept.",
    )
    batch_size: PositiveInt = Field(
        default=8, description="Scans in a step; the published code's 64 images would fill a GPU as volumes."
    )
    gan_learning_rate: PositiveFloat = Field(default=1e-4, description="Adam learning rate of generator and critic.")
    encoder_learning_rate: PositiveFloat = Field(default=5e-5, description="RMSprop learning rate of the encoder.")
    critic_steps: PositiveInt = Field(
        default=5, description="Steps of the critic, one a batch, for each of the generator."
    )
    gradient_penalty: PositiveFloat = Field(
        default=10.0, description="Weight of the gradient penalty in the critic's loss (λ)."
    )
    kappa: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="Weight of the critic's features in the encoder's loss (κ)."
    )


class Segmenter(Section):
    """A network that learns to see synthetic lesions in healthy scans. Reruns: it, its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    weights: str = Field(
        default="random",
        description="What to start from: `random`; `T1w`, the network that comes with the clone in models/T1w; or the"
        " path of the `model.safetensors` of another segmenter.",
    )
    seed: Seed = Field(default=3, description="Seed of weights, lesions and acquisitions.")
    steps: Annotated[int, Field(ge=0)] = Field(
        default=3000, description="Steps of training; 0 keeps the initial weights."
    )
    batch_size: PositiveInt = Field(default=4, description="Synthetic scans in a step.")
    width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(
        default=32, description="Channels of the first level; the deepest has twice as many."
    )
    spacing_mm: PositiveFloat = Field(
        default=2.0, description="Edge of this network's voxels, mm; not below `template.resolution_mm`."
    )
    comparisons: list[Literal["mirror", "mean", "deviation"]] = Field(
        default=["mirror", "mean", "deviation"],
        description="What it sees besides the scan: its `mirror` image, the healthy `mean`, the `deviation` from it.",
    )
    mass_effect: bool = Field(default=True, description="Whether synthetic lesions displace the tissue around them.")
    randomisation: Fraction = Field(
        default=1.0,
        description="How random acquisition, registration and shape are; with 0 it learns the training scanner.",
    )
    learning_rate: PositiveFloat = Field(default=0.002, description="Highest AdamW learning rate.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=0.01, description="AdamW weight decay.")
