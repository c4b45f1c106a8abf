"""The tiny world of the training's tests."""

from tests.training.conftest import world, write_recipe

__all__ = ["world", "write_recipe"]
