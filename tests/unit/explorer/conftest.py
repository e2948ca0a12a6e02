"""The services of the app on a tiny untrained model and a dozen drawn pictures."""

import numpy as np
import pytest
from builders import tiny_classes, tiny_config, tiny_model
from PIL import Image

from concepthash.checkpoint import save_checkpoint
from explorer.services import Services, load_services
from explorer.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two models, and examples of three classes; no gallery of one's own."""
    root, random = tmp_path_factory.mktemp("explorer"), np.random.default_rng(0)
    save_checkpoint(root / "checkpoints" / "birds-8", tiny_model(), tiny_classes())
    save_checkpoint(root / "checkpoints" / "birds-6", tiny_model(tiny_config(3, 6)), tiny_classes())
    for number in range(12):
        folder = root / "examples" / ("marsh_wren", "cactus_wren", "sooty_tern")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (4, 5, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((90, 60), Image.Resampling.BICUBIC).save(folder / f"{number}.webp")
    return Settings(
        checkpoint="birds-8",
        checkpoints=root / "checkpoints",
        galleries=root / "galleries",
        examples=root / "examples",
        cache=root / "cache",
        device="cpu",
    )


@pytest.fixture(scope="module")
def services(settings: Settings) -> Services:
    """All services, loaded once for a file of tests."""
    return load_services(settings)


@pytest.fixture
def first(services: Services) -> str:
    """The image a new visitor starts with."""
    return services.photos.first_image("birds-8")
