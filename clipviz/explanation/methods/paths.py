"""CLIP Surgery and GEM: dense features of a second path through many blocks."""
