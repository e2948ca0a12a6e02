"""Readers of images and data sets, and what is done to an image before a model sees it."""

from .aircraft import read_aircraft
from .arrange import arrange
from .aviary import read_aviary
from .cars import read_cars
from .cub import read_cub
from .folder import read_image_folder
from .hold_out import hold_out
from .images import MAX_PIXELS, read_image, to_rgb
from .intake import ClassImages, Inspection, inspect_images
from .intake_limits import IntakeLimits
from .layouts import read_dataset
from .masks import read_part_mask
from .nabirds import read_nabirds
from .parquet import read_parquet
from .table import ImageTable, family_of
from .transforms import resize_for_model, to_original_coordinates, training_view
from .unzip import unpack_zip

__all__ = [
    "MAX_PIXELS",
    "ClassImages",
    "ImageTable",
    "Inspection",
    "IntakeLimits",
    "arrange",
    "family_of",
    "hold_out",
    "inspect_images",
    "read_aircraft",
    "read_aviary",
    "read_cars",
    "read_cub",
    "read_dataset",
    "read_image",
    "read_image_folder",
    "read_nabirds",
    "read_parquet",
    "read_part_mask",
    "resize_for_model",
    "to_original_coordinates",
    "to_rgb",
    "training_view",
    "unpack_zip",
]
