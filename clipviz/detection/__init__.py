"""Zero-shot detection: boxes around what a text names, from a model that was never trained on boxes."""
