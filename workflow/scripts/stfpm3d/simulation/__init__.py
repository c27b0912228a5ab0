"""Synthetic lesions in healthy scans whose acquisition is random: what a segmenter learns from."""
