"""Regions of FreeSurfer's atlas (Desikan-Killiany and subcortical) in plain words."""

from __future__ import annotations

import re

CORTEX = {
    "unknown": "cortex",
    "bankssts": "banks of the superior temporal sulcus",
    "caudalanteriorcingulate": "caudal anterior cingulate gyrus",
    "caudalmiddlefrontal": "caudal middle frontal gyrus",
    "cuneus": "cuneus",
    "entorhinal": "entorhinal cortex",
    "fusiform": "fusiform gyrus",
    "inferiorparietal": "inferior parietal lobule",
    "inferiortemporal": "inferior temporal gyrus",
    "isthmuscingulate": "isthmus of the cingulate gyrus",
    "lateraloccipital": "lateral occipital cortex",
    "lateralorbitofrontal": "lateral orbitofrontal cortex",
    "lingual": "lingual gyrus",
    "medialorbitofrontal": "medial orbitofrontal cortex",
    "middletemporal": "middle temporal gyrus",
    "parahippocampal": "parahippocampal gyrus",
    "paracentral": "paracentral lobule",
    "parsopercularis": "inferior frontal gyrus (opercular part)",
    "parsorbitalis": "inferior frontal gyrus (orbital part)",
    "parstriangularis": "inferior frontal gyrus (triangular part)",
    "pericalcarine": "pericalcarine cortex",
    "postcentral": "postcentral gyrus",
    "posteriorcingulate": "posterior cingulate gyrus",
    "precentral": "precentral gyrus",
    "precuneus": "precuneus",
    "rostralanteriorcingulate": "rostral anterior cingulate gyrus",
    "rostralmiddlefrontal": "rostral middle frontal gyrus",
    "superiorfrontal": "superior frontal gyrus",
    "superiorparietal": "superior parietal lobule",
    "superiortemporal": "superior temporal gyrus",
    "supramarginal": "supramarginal gyrus",
    "frontalpole": "frontal pole",
    "temporalpole": "temporal pole",
    "transversetemporal": "transverse temporal gyrus",
    "insula": "insula",
}
OTHERS = {
    "Cerebral-White-Matter": "cerebral white matter",
    "Inf-Lat-Vent": "temporal horn of the lateral ventricle",
    "Cerebellum-White-Matter": "cerebellar white matter",
    "Cerebellum-Cortex": "cerebellar cortex",
    "Thalamus-Proper": "thalamus",
    "Caudate": "caudate nucleus",
    "Accumbens-area": "nucleus accumbens",
    "VentralDC": "ventral diencephalon",
    "3rd-Ventricle": "third ventricle",
    "4th-Ventricle": "fourth ventricle",
    "Brain-Stem": "brainstem",
    "CSF": "cerebrospinal fluid",
    "WM-hypointensities": "dark white matter",
    "non-WM-hypointensities": "dark grey matter",
    "CC_Posterior": "corpus callosum (posterior part)",
    "CC_Mid_Posterior": "corpus callosum (posterior middle part)",
    "CC_Central": "corpus callosum (central part)",
    "CC_Mid_Anterior": "corpus callosum (anterior middle part)",
    "CC_Anterior": "corpus callosum (anterior part)",
}
SIDED = re.compile(r"(?:ctx-(?P<hemisphere>[lr])h-|(?P<side>Left|Right)-)?(?P<region>.+)")


def plain_name(name: str) -> str:
    """A region in words: `right superior frontal gyrus` of `ctx-rh-superiorfrontal`.

    A name that the atlas does not have keeps its words.
    """
    found = SIDED.fullmatch(name)
    if found is None:
        return name
    side = {"l": "left ", "r": "right "}.get(found["hemisphere"]) or (
        f"{found['side'].lower()} " if found["side"] else ""
    )
    known = CORTEX if found["hemisphere"] else OTHERS
    region = found["region"]
    return side + known.get(region, region.replace("-", " ").replace("_", " ").lower())
