"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""

__version__ = "0.2.0"
