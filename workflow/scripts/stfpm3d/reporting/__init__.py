"""What is looked at and handed on."""
