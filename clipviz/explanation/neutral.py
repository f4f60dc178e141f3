"""Texts that name nothing: what a picture shares with them is no evidence for any text."""

NEUTRAL = (
    "a photo",
    "a picture",
    "an image",
    "a photo of something",
    "a picture of a thing",
    "a photo of an object",
    "a scene",
    "a background",
)
