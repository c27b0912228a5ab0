"""What is studied: the config, the cohort, its split, and the digests that decide what reruns."""
