"""Scans become arrays on one grid: template, registration, stripping, standardization."""
