"""Write the participants and their split as two tables."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]) as log:
    table = pd.DataFrame(snakemake.params["rows"])
    table["skull_stripped"] = table["skull_stripped"].map({True: "true", False: "false"})
    kept = table[table["exclude"].isna()] if "exclude" in table else table
    keys = [column for column in ("participant_id", "session_id", "group", "split") if column in table]
    for name, rows in (("participants", table.drop(columns="split")), ("split", kept[keys])):
        write_table(snakemake.output[name], rows)
    for (group, split), rows in kept.groupby(["group", "split"]):
        log.info("%s, %s: %d scans", group, split, len(rows))
    if len(kept) < len(table):
        log.info("excluded: %d scans", len(table) - len(kept))
