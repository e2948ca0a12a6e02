"""Readers of images and data sets, and what is done to an image before a model sees it."""

from .aircraft import read_aircraft
from .aviary import read_aviary
from .cars import read_cars
from .cub import read_cub
from .folder import read_image_folder
from .images import MAX_PIXELS, read_image, to_rgb
from .layouts import read_dataset
from .masks import read_part_mask
from .nabirds import read_nabirds
from .parquet import read_parquet
from .table import ImageTable, family_of
from .transforms import resize_for_model, to_model_coordinates, to_original_coordinates, training_view

__all__ = [
    "MAX_PIXELS",
    "ImageTable",
    "family_of",
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
    "to_model_coordinates",
    "to_original_coordinates",
    "to_rgb",
    "training_view",
]
