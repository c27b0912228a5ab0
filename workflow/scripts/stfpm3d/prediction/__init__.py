"""What a trained experiment is for: a bundle of it, new scans, what is unusual in them."""
