"""Write the participants and their split as two tables."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.study.files import replacing
from stfpm3d.study.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]) as log:
    table = pd.DataFrame(snakemake.params["rows"])
    table["skull_stripped"] = table["skull_stripped"].map({True: "true", False: "false"})
    columns = {"participants": table.columns.drop("split"), "split": ["participant_id", "group", "split"]}
    for name, chosen in columns.items():
        with replacing(snakemake.output[name]) as temporary:
            table[chosen].to_csv(temporary, sep="\t", index=False, na_rep="n/a")
    for (group, split), rows in table.groupby(["group", "split"]):
        log.info("%s, %s: %d scans", group, split, len(rows))
