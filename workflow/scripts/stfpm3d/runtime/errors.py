"""The one exception whose message is written for the person who runs the workflow."""


class InputError(ValueError):
    """Something the user can mend.

    The message is one sentence: which subject, which file, what was expected, what to do.
    """
