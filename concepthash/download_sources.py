"""Where the data sets lie, what is known of their archives, and what their authors ask for."""

from dataclasses import dataclass

__all__ = ["SOURCES", "Archive", "Source"]


@dataclass(frozen=True)
class Archive:
    """One file to fetch.

    Parameters
    ----------
    url
        Of the authors.
    digest
        ``"md5:..."`` or ``"sha256:..."``; empty where none is known, and then the archive's own checks have to do.
    n_bytes
        Exact size; 0 where it is not known.
    into
        Folder that it is unpacked, or moved, into; empty for the data set's own.
    """

    url: str
    digest: str = ""
    n_bytes: int = 0
    into: str = ""

    @property
    def name(self) -> str:
        """Name of the file, the last part of the address."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """One data set.

    Parameters
    ----------
    title
        For people.
    home
        Page of the authors.
    terms
        What they ask for, a sentence or two.
    archives
        To fetch; none where they want a form filled in first.
    unpacked_bytes
        About how much space the unpacked data set takes at the most; more than that is refused.
    """

    title: str
    home: str
    terms: str
    archives: tuple[Archive, ...]
    unpacked_bytes: int = 8 * 10**9


_CARS = "http://ai.stanford.edu/~jkrause/car196"

# Sizes, and SHA-256 of the cars: url_checksums of TensorFlow Datasets. MD5 of CUB: the loader of Avalanche; of the
# aircraft: the loader of torchvision for R. The exact size of the aircraft is not known.
SOURCES = {
    "cub200": Source(
        "Caltech-UCSD Birds-200-2011 (1.2 GB)",
        "https://www.vision.caltech.edu/datasets/cub_200_2011/",
        "No license for it is known to this project, and its photos belong to their photographers: use it for "
        "non-commercial research, after a look at that page; cite Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, "
        "CNS-TR-2011-001.",
        (
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "md5:97eceeb196236b17998738112f37df78",
                1_150_585_339,
            ),
        ),
    ),
    "cars196": Source(
        "Stanford Cars (2.0 GB)",
        "https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
        "No license for them is known to this project, and their photos belong to their photographers: use them for "
        "non-commercial research; cite Krause et al., 3D Object Representations for Fine-Grained Categorization, "
        "3DRR 2013. The authors' server has answered 404 since 2023; copies of the archives from elsewhere are "
        "checked against the same checksums.",
        (
            Archive(
                "https://ai.stanford.edu/~jkrause/cars/car_devkit.tgz",
                "sha256:b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd",
                330_960,
            ),
            Archive(
                f"{_CARS}/cars_test_annos_withlabels.mat",
                "sha256:790f75be8ea34eeded134cc559332baf23e30e91367e9ddca97d26ed9b895f05",
                185_758,
            ),
            Archive(
                f"{_CARS}/cars_train.tgz",
                "sha256:512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288",
                979_269_282,
            ),
            Archive(
                f"{_CARS}/cars_test.tgz",
                "sha256:bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243",
                977_350_468,
            ),
        ),
    ),
    "nabirds": Source(
        "NABirds (Cornell Lab of Ornithology)",
        "https://dl.allaboutbirds.org/nabirds",
        "The Cornell Lab gives it to those who accept its terms of use in a form on that page.",
        (),
    ),
    "aircraft": Source(
        "FGVC-Aircraft 2013b (2.75 GB)",
        "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        "The photos are available exclusively for non-commercial research; their photographers keep the copyright. "
        "Cite Maji et al., Fine-Grained Visual Classification of Aircraft, arXiv:1306.5151.",
        (
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
                "md5:d4acdd33327262359767eeaa97a4f732",
            ),
        ),
    ),
}
