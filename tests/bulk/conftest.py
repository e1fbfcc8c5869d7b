"""The small classifier and pictures of the tests of inference."""

from tests.inference.conftest import checkpoint, model, photos

__all__ = ["checkpoint", "model", "photos"]
