"""Digests of code and environments: what a rule's result depends on besides its inputs and params.

Snakemake tracks neither imported modules nor what an environment's YAML means. Both digests are params of every rule,
so that a change of behaviour reruns the rule, and a change of a comment, a docstring, an annotation, an error's words
or the formatting does not. Code is digested by `stfpm3d.runtime.definitions`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml


def environment_digest(path: Path) -> str:
    """Digest of an environment file's parsed content: comments and layout do not count."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
