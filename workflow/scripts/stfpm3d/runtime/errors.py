"""The exceptions whose message is written for the person who runs the workflow."""

import errno
import os
import re

OF_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
"""What is said of a path that leads to no file, or of a damaged one; all else is of the machine."""
WORDS_OF_MACHINE = re.compile(
    "|".join([*map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)), "out of memory", "bad_alloc"]), re.I
)
"""How libraries that are written in C tell what the machine lacks, in errors of their own."""


class InputError(ValueError):
    """Something the user can mend.

    The message is one sentence: which subject, which file, what was expected, what to do.
    """


class MachineError(InputError):
    """What is wrong with the machine, such as a full disk, and not with what was given."""


def of_machine(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is the machine's: its disk, its memory, its permissions, its network."""
    while error is not None:
        if isinstance(error, MemoryError | MachineError) or WORDS_OF_MACHINE.search(str(error)):
            return True
        if isinstance(error, OSError) and error.errno not in OF_FILE:
            return True
        error = error.__cause__
    return False


def windows_remark(path: str) -> str:
    """What is to be said besides of a path that leads nowhere and is written as on Windows; nothing of any other."""
    if not re.search(r"\\|(^|/)[A-Za-z]:/", path):
        return ""
    return r" (a path of Windows: here folders are parted by /, and Windows' C:\data is /mnt/c/data under WSL)"
