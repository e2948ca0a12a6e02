"""The exceptions a visitor or caller can cause; each message says what is wrong, what was got, and what to do.

::

    ConceptHashError
    ├── ConfigError      (ValueError)   settings that cannot work together
    ├── CheckpointError  (ValueError)   a checkpoint folder that is missing, altered or foreign
    ├── ImageError       (ValueError)   an image that cannot be read
    ├── DataError        (ValueError)   a data set folder that holds nothing usable
    ├── GalleryError     (ValueError)   a gallery that is missing, unfinished or made by another model
    ├── DeviceError      (RuntimeError) a device that has no memory left, or that has gone
    └── QueryError       (ValueError)   a question that has no meaning for this model or gallery
"""

__all__ = [
    "CheckpointError",
    "ConceptHashError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "GalleryError",
    "ImageError",
    "QueryError",
]


class ConceptHashError(Exception):
    """Anything this project refuses, with a sentence meant for the person who asked."""


class ConfigError(ConceptHashError, ValueError):
    """Settings that cannot work together."""


class CheckpointError(ConceptHashError, ValueError):
    """A checkpoint folder that is missing, altered or foreign."""


class ImageError(ConceptHashError, ValueError):
    """An image that cannot be read."""


class DataError(ConceptHashError, ValueError):
    """A data set folder that holds nothing usable."""


class GalleryError(ConceptHashError, ValueError):
    """A gallery that is missing, unfinished or made by another model."""


class DeviceError(ConceptHashError, RuntimeError):
    """A device that has no memory left, or that has gone."""


class QueryError(ConceptHashError, ValueError):
    """A question that has no meaning for this model or gallery."""
