"""Choose the reader for a data set folder by what lies in it."""

from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError
from .aircraft import is_aircraft_layout, read_aircraft
from .aviary import is_aviary_layout, read_aviary
from .cars import is_cars_layout, read_cars
from .cub import is_cub_layout, read_cub
from .folder import existing_folder, read_image_folder
from .nabirds import is_nabirds_layout, read_nabirds
from .parquet import is_parquet_layout, read_parquet
from .table import ImageTable

__all__ = ["read_dataset"]

_Layout = tuple[Callable[[Path], bool], Callable[[Path], ImageTable], tuple[str, ...]]
_LAYOUTS: tuple[_Layout, ...] = (  # how to tell it, how to read it, and where below the given folder it may lie
    (is_nabirds_layout, read_nabirds, ("", "nabirds")),  # has all lists of CUB and more, so that it comes first
    (is_cub_layout, read_cub, ("", "CUB_200_2011")),
    (is_aviary_layout, read_aviary, ("",)),
    (is_cars_layout, read_cars, ("", "stanford_cars")),
    (is_aircraft_layout, read_aircraft, ("", "data", "fgvc-aircraft-2013b/data")),
    (is_parquet_layout, read_parquet, ("",)),
)


def read_dataset(root: str | Path, families: str = "") -> ImageTable:
    """Read a data set folder by the layout that its lists show, else as a folder of images.

    Parameters
    ----------
    root
        The folder, or the one in which an archive of CUB-200-2011, NABirds, FGVC-Aircraft or Stanford Cars was
        unpacked.
    families
        What makes a family, where the data set knows more than one: ``"make"`` (or empty) and ``"body"`` of cars.

    Returns
    -------
    ImageTable
        What `read_nabirds`, `read_cub`, `read_aviary`, `read_cars`, `read_aircraft`, `read_parquet` or
        `read_image_folder` gives.

    Raises
    ------
    ConfigError
        If the data set has no such families.
    DataError
        If the folder is missing, is a file, malformed, or holds no images.
    """
    root = existing_folder(root)
    found = ((read, root / place) for told, read, places in _LAYOUTS for place in places if told(root / place))
    read, folder = next(found, (read_image_folder, root))
    if not families:
        return read(folder)
    if read is not read_cars:
        raise ConfigError(f"This data set has one kind of families, not {families!r}; leave the choice out.")
    return read_cars(folder, families)
