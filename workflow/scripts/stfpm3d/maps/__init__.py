"""How an anomaly map is made: by networks, a Gaussian, a reconstruction or a baseline; its form, score and files."""
