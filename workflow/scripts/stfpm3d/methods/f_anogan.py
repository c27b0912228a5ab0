"""The method `fanogan`: distance of a scan to its reconstruction by a GAN (Schlegl et al., 2019)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stfpm3d.methods.row import TORCH, MethodRow, Study
from stfpm3d.runtime.section import Name


class FanoganExperiment(MethodRow):
    """Distance of a scan to its reconstruction by a GAN. Reruns: its maps, evaluation and report."""

    method: Literal["fanogan"] = Field(description="`fanogan`.")
    gan: Name = Field(description="Name of the gan row.")
    kappa: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="Weight of the critic's features in the image score (κ); the map has none."
    )

    maker = "stfpm3d.maps.reconstruction:fanogan_maps"
    runs_in = "learning"
    names = ("gan",)
    asks = TORCH
    roles = ("grid", "model")
    text = "f-AnoGAN [fanogan] in 3D"
    references: ClassVar = {
        "fanogan": "Schlegl T et al. f-AnoGAN: fast unsupervised anomaly detection with generative adversarial"
        " networks. Medical Image Analysis 54, 2019."
    }

    def files(self, study: Study) -> dict[str, Any]:
        """It brings a standardized scan to its grid, which is small."""
        return {"grid": f"{study.grid_of_gan(self.gan)}grid.json", "model": f"results/gan/{self.gan}/model.safetensors"}
