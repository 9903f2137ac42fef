"""Tests of a module share a cluster."""

from tests.shared import shared, world

__all__ = ["shared", "world"]
