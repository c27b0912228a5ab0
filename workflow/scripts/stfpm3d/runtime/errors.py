"""The one exception whose message is written for the person who runs the workflow."""

import re


class InputError(ValueError):
    """Something the user can mend.

    The message is one sentence: which subject, which file, what was expected, what to do.
    """


def windows_remark(path: str) -> str:
    """What is to be said besides of a path that leads nowhere and is written as on Windows; nothing of any other."""
    if not re.search(r"\\|(^|/)[A-Za-z]:/", path):
        return ""
    return r" (a path of Windows: here folders are parted by /, and Windows' C:\data is /mnt/c/data under WSL)"
