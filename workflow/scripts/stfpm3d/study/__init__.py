"""What is studied: the config, the cohort and its split."""
