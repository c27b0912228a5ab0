"""Methods: each declares, in one module, all that other parts ask of it."""
