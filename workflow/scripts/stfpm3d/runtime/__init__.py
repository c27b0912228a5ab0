"""What any program needs: errors for users, files written whole, logs, the lifeline to Snakemake, digests of code."""
