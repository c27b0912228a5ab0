"""One new scan through all stages of a bundle's experiment, by the functions that the training's rules call.

A scan that cannot be used is refused where that shows, with the sentence that says why; the others go on. So
`InputError` is caught here, and nowhere else in the package. What the machine lacks fails the job, and nothing is
remembered of it.
"""

from __future__ import annotations

import json
import logging
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.imaging.background import check_skull_stripped, load_scan, looks_skull_stripped
from stfpm3d.imaging.bias import correct_bias
from stfpm3d.imaging.native import to_native
from stfpm3d.imaging.placement import Target
from stfpm3d.imaging.registration import apply_transform, register, write_registration
from stfpm3d.imaging.skullstrip import brain_support, strip
from stfpm3d.imaging.standardize import standardize
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.maps.form import Scan, outside_minimum
from stfpm3d.methods.registry import declaration, map_maker
from stfpm3d.prediction.anomalies import Anomaly, find_anomalies
from stfpm3d.prediction.bundle import Bundle
from stfpm3d.prediction.data_set import STATUS
from stfpm3d.prediction.derivatives import Provenance, image_files, write_image
from stfpm3d.prediction.likeness import check_likeness, check_suffix, likeness
from stfpm3d.prediction.parts import read_parts
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.reporting.scan_pictures import colour_scale, finding_png, whole_png
from stfpm3d.runtime.digits import rounded
from stfpm3d.runtime.errors import InputError, MachineError, of_machine
from stfpm3d.runtime.files import on_full_disk, replacing, write_table

log = logging.getLogger(__name__)

WARPS = ("to_mni_warp.nii.gz", "from_mni_warp.nii.gz")
WORK = ("to_mni.mat", *WARPS, "placement.json", "registered.nii.gz", "support.nii.gz", "standardized.nii.gz")
"""What the stages write besides what they find."""


class Compute(NamedTuple):
    """Where maps are computed."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int = 1


class ScanStages:
    """The way of one scan from its file to what was found in it.

    Parameters
    ----------
    scan
        What is given of it.
    bundle
        A checked bundle.
    out
        The data set to write to: derivatives by the scan's name, and `work/{name}/` with what each stage makes.
    compute
        Where its map is computed.
    """

    def __init__(self, scan: GivenScan, bundle: Bundle, out: Path, compute: Compute) -> None:
        self.scan, self.bundle, self.out = scan, bundle, out
        self.work = out / "work" / scan.name
        self.who = f"{scan.name}: {scan.image}"
        self.row: dict[str, Any] = {}
        method = declaration(bundle.description["method"])
        of_machine = {key: value for key, value in compute._asdict().items() if key in method.asks}
        # Outside of the stages: a damaged bundle, or a device that this machine lacks, is no fault of the scan's.
        self.parts = read_parts(bundle)
        self.make = map_maker(method.maker, {**bundle.description["maker"], **of_machine}, bundle.files)

    def predict(self) -> dict[str, Any]:
        """Go through all stages and return the scan's row, with `status` predicted or refused.

        Raises
        ------
        MachineError
            When a stage fails of the machine, such as a full disk.
        """
        self._clear()
        given = {"scan_id": self.scan.name, "image": self.scan.source}
        for stage in (self.read, self.register, self.strip, self.standardize, self.compare, self.map):
            log.info("%s: %s", self.scan.name, stage.__name__)
            try:
                stage()
            except Exception as error:
                if of_machine(error):
                    raise MachineError(self._not_predicted(stage.__name__, error)) from error
                for folder in filter(on_full_disk, (self.out, tempfile.gettempdir())):
                    raise MachineError(
                        f"{self.who} is not predicted, as the disk of {folder} is full; free some space and run again."
                    ) from error
                if not isinstance(error, InputError):
                    raise
                log.warning("refused: %s", error)
                self._clear(but_work=True)
                self._draw_refused()
                reason = str(error).replace(self.scan.image, self.scan.source)  # folders may tell names
                return {**given, "status": "refused", "stage": stage.__name__, "reason": reason, **self.row}
        return {**given, "status": "predicted", **self.row}

    def _not_predicted(self, stage: str, error: Exception) -> str:
        told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if isinstance(error, InputError):
            return f"{self.scan.name}: {told.removeprefix(f'{self.scan.name}: ')}."
        return f"{self.who} is not predicted, since {stage} fails of this machine ({told}); mend that and run again."

    def read(self) -> None:
        """The scan as it came, background 0; whether it is skull-stripped is asked of the image where nobody says."""
        check_suffix(self.scan.image, self.bundle.description["modality"], self.who)
        self.native = load_scan(self.scan.image, self.scan.name)
        said = self.scan.skull_stripped
        self.skull_stripped = looks_skull_stripped(self.native) if said is None else said
        self.row["skull_stripped"] = self.skull_stripped
        check_skull_stripped(self.native, self.skull_stripped, self.scan.name, self.scan.image)

    def register(self) -> None:
        """To the template's head, or its brain for a stripped scan."""
        settings = self.bundle.description["registration"]
        template = self.parts.brain if self.skull_stripped else self.parts.head
        self.brain_mask = self.parts.brain_mask
        warps = WARPS if settings["transform"] == "SyN" else ()
        self.transform = [self.work / name for name in ("to_mni.mat", *warps)]
        target = Target(template, self.brain_mask, self.skull_stripped)
        found = register(
            self.native, target, self.transform, kind=settings["transform"], seed=settings["seed"], who=self.who
        )
        write_registration(self.work / "placement.json", found)
        self.native_per_mni = found.placement.volume_ratio
        corrected = self.bundle.description["bias_correction"] == "n4"
        image = correct_bias(self.native) if corrected else self.native
        self.registered = apply_transform(image, template, self.transform)
        save_volume(self.work / "registered.nii.gz", self.registered)

    def strip(self) -> None:
        """Keep what is brain in template and scan."""
        self.support = brain_support(self.registered, self.brain_mask, self.scan.name)
        self.row["brain_covered"] = float(self.support.data.sum() / self.brain_mask.data.sum())
        save_volume(self.work / "support.nii.gz", self.support, np.uint8)

    def standardize(self) -> None:
        """To the landmarks of the training scans."""
        stripped = strip(self.registered, self.support)
        data = standardize(stripped.data, self.support.data, self.parts.landmarks, self.scan.name)
        self.standardized = Volume(data, stripped.affine)
        save_volume(self.work / "standardized.nii.gz", self.standardized)

    def compare(self) -> None:
        """With the contrast of the training scans."""
        description = self.bundle.description
        found = likeness(self.standardized, self.support, self.parts.healthy)
        self.row["likeness"] = found
        least = description["validation"]["least_likeness"]
        if note := check_likeness(found, least, description["modality"], self.who):
            log.warning("%s: %s", self.who, note)
            self.row["note"] = note

    def map(self) -> None:
        """The anomaly map, and all that is read from it, in the scan's own space and in MNI space."""
        description = self.bundle.description
        made = self.make(Scan(self.scan.name, self.work / "standardized.nii.gz", self.work / "support.nii.gz"))
        found = find_anomalies(
            made.map,
            self.support,
            threshold=description["threshold"],
            min_ml=description["min_lesion_ml"],
            native_per_mni=self.native_per_mni,
            atlas=self.parts.atlas if description["space"].startswith("MNI152") else None,
        )
        self._write_images(made.map, made.source or made.map)
        self._write_findings(found)
        self._draw(made.map, found)
        scores, usual_ml = description["validation"]["scores"], description["record"]["healthy_fp_ml"]
        self.row |= {
            "score": made.score,
            "percentile": 100 * bisect_right(scores, made.score) / len(scores),
            "n_as_high": len(scores) - bisect_left(scores, made.score),
            "n_finding": len(found),
            "volume_ml": sum(anomaly.volume_ml for anomaly in found),
            "usual_ml": None if usual_ml is None else usual_ml * self.native_per_mni,
        }

    def _write_images(self, map_mni: Volume, source: Volume) -> None:
        """Map and mask in both spaces; to the scan's own grid the map is interpolated once."""
        threshold = self.bundle.description["threshold"]
        inside = to_native(self.support, self.native, self.transform)
        native = to_native(source, self.native, self.transform, fill=float(source.data.min()))
        map_native = outside_minimum(native.data, inside)
        provenance = Provenance(self.scan, self.bundle.description, self.skull_stripped)
        for space, volume, brain in (
            (None, map_native, inside.data),
            (self.bundle.description["space"], map_mni, self.support.data),
        ):
            mask = Volume(brain & (volume.data >= threshold), volume.affine)
            write_image(self.out, provenance, volume, space)
            write_image(self.out, provenance, mask, space)

    def _write_findings(self, found: list[Anomaly]) -> None:
        table = pd.DataFrame([anomaly._asdict() for anomaly in found], columns=list(Anomaly._fields))
        write_table(self.findings, rounded(table, ["peak", "mean"]))

    @property
    def findings(self) -> Path:
        """The table of findings."""
        return self.out / self.scan.folder / f"{self.scan.name}_desc-anomaly_findings.tsv"

    @property
    def picture(self) -> Path:
        """Slices through the largest finding."""
        return self.out / "figures" / f"{self.scan.name}.png"

    def _draw(self, map_mni: Volume, found: list[Anomaly]) -> None:
        centre = (found[0].x_mm, found[0].y_mm, found[0].z_mm) if found else None
        description = self.bundle.description
        scale = colour_scale(
            description["threshold"],
            description["validation"]["scores"],
            log_odds=description["healthy_quantile"] is None and description["threshold"] == 0,  # even odds
        )
        picture = finding_png(self.standardized, map_mni, self.support, scale=scale, centre_mm=centre)
        with replacing(self.picture) as temporary:
            temporary.write_bytes(picture)

    def _draw_refused(self) -> None:
        """The scan as it came, for whoever reads it; nothing where it could not be read."""
        if "native" in vars(self):
            with replacing(self.picture) as temporary:
                temporary.write_bytes(whole_png(self.native))

    def _clear(self, *, but_work: bool = False) -> None:
        """Remove what an earlier run made of the scan, file by file: a refused one has no map."""
        made = [self.picture, self.findings, *image_files(self.out, self.scan, self.bundle.description)]
        if not but_work and self.work.is_dir():
            made += [self.work / name for name in WORK]
            made += [path for path in self.work.iterdir() if STATUS.fullmatch(path.name)]
        for path in made:
            path.unlink(missing_ok=True)


def write_status(path: Path | str, row: Mapping[str, Any]) -> None:
    """Write a scan's row (JSON)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(row), indent=1) + "\n", encoding="utf-8")
