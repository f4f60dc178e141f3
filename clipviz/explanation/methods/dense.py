"""The family of dense features: patch tokens read in the space of the texts."""
