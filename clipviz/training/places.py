"""Where things are in a run's folder."""

CHECKPOINTS, MODEL, MODELS, CACHE = "checkpoints", "model", "models", "cache"
