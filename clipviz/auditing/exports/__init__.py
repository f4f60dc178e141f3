"""An audit as a file: a page for people, JSON and CSV for programs, a model card's section, a test report."""

from .saving import SUFFIXES, export
from .schema import schema

__all__ = ["SUFFIXES", "export", "schema"]
