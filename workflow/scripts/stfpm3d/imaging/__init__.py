"""Scans become arrays on one grid: template, demo phantom, registration, stripping, standardization."""
