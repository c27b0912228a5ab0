"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""
