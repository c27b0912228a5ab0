"""What tells patients from healthy scans besides lesions, and synthetic lesions where there is no patient."""
