"""Face tables whose columns and values are known: FairFace, UTKFace and CelebA, matched by name and never by place."""

from __future__ import annotations

TABLES = ("fairface", "utkface", "celeba")
