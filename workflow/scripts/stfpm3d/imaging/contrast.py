"""What the contrasts of MRI have in common with each other, and where they differ."""

LESION_SIGN = {"T2w": 1, "FLAIR": 1, "T1w": -1}
"""Lesions are bright in T2w and FLAIR, dark in T1w."""
