"""Write the participants table of IXI (healthy) and BraTS 2021 (patients) from their folders; see docs/own-data.md."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.ixi_brats import BRATS_CONTRASTS, tabulate


def main() -> None:
    """Read the command line and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ixi", type=Path, metavar="DIR", help="folder of IXI's scans")
    parser.add_argument("--brats", type=Path, metavar="DIR", help="folder of BraTS 2021's training subjects")
    parser.add_argument("--modality", choices=list(BRATS_CONTRASTS), default="T2w", help="default: %(default)s")
    parser.add_argument("--split", type=Path, metavar="FILE", help="lines of subject, tab, and train, val or test")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", default=Path("participants.tsv"), help="default: %(default)s"
    )
    parser.add_argument("--force", action="store_true", help="replace a table that is there already")
    arguments = parser.parse_args()
    if arguments.ixi is None and arguments.brats is None:
        parser.error("give --ixi, --brats or both")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        tabulate(**vars(arguments))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
