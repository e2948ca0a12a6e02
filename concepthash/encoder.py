"""A loaded model behind a lock: RGB images in, code logits and concept maps out, numpy at the border."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .attribution import MapSettings, bit_map, concept_maps, gradient_maps
from .checkpoint import Checkpoint, load_model
from .config import BackboneConfig
from .data.transforms import resize_for_model
from .errors import ConfigError

__all__ = ["Encoder", "ImageExplanation", "choose_device", "normalize_images"]


class ImageExplanation(NamedTuple):
    """Code logits (K,) and concept maps (M, h, w), each summing to 1; float32."""

    code_logits: np.ndarray
    concept_maps: np.ndarray


class Encoder:
    """A checkpoint's model on a device.

    Parameters
    ----------
    checkpoint
        From `read_checkpoint`.
    device
        ``"auto"`` (CUDA, then Apple's MPS, then the CPU), ``"cpu"``, ``"cuda"`` or ``"mps"``.
    half
        Whether `code_logits` may run in float16 on CUDA; elsewhere it changes nothing. Every image with a bit nearer
        to its threshold than `HALF_TOLERANCE` is encoded again in float32, so codes stay equal.

    Raises
    ------
    CheckpointError
        If the weights are missing or altered.
    ConfigError
        If the device is unknown or absent.
    """

    HALF_TOLERANCE = 0.05

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", *, half: bool = False) -> None:
        self.checkpoint = checkpoint
        self.device = choose_device(device)
        self.half = half and self.device.type == "cuda"
        self._model = load_model(checkpoint, self.device)
        self._lock = threading.Lock()
        with torch.inference_mode():
            self.class_centers: np.ndarray = self._model.class_centers().float().cpu().numpy()  # (C, K)

    @property
    def transform_id(self) -> str:
        """Name of what happens to an image before the network; a gallery keeps it."""
        height, width = self.checkpoint.config.backbone.image_size
        return f"squash-{height}x{width}"

    @property
    def n_blocks(self) -> int:
        """Number of transformer blocks whose attention can be read."""
        return len(self._model.backbone.blocks)

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns (h, w) of concept maps."""
        return self._model.grid_size

    def code_logits(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Code logits of RGB uint8 images (H, W, 3) of any sizes: (n, K) float32."""
        if not images:
            return np.empty((0, self.checkpoint.config.n_bits), np.float32)
        batch = self._batch(images)
        with self._lock, torch.inference_mode():
            if not self.half:
                return self._model(batch).code_logits.float().cpu().numpy()
            with torch.autocast(self.device.type, dtype=torch.float16):
                logits = self._model(batch).code_logits.float()
            unsure = (logits.abs() < self.HALF_TOLERANCE).any(dim=1)
            if unsure.any():
                logits[unsure] = self._model(batch[unsure]).code_logits
            return logits.cpu().numpy()

    def explain(self, image: np.ndarray, settings: MapSettings = MapSettings()) -> ImageExplanation:
        """Code logits and the map of every concept for one RGB uint8 image (H, W, 3).

        A map covers the whole image: cell (row, column) of (h, w) is the image's rectangle at the same shares of its
        height and width.
        """
        logits, maps = self.explain_batch([image], settings)
        return ImageExplanation(logits[0], maps[0])

    def explain_batch(
        self, images: Sequence[np.ndarray], settings: MapSettings = MapSettings()
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for several images: (n, K) and (n, M, h, w) float32."""
        batch = self._batch(images)
        with self._lock:
            if settings.method == "gradient":
                maps = gradient_maps(self._model, batch, settings)
                with torch.inference_mode():
                    logits = self._model(batch).code_logits
            else:
                with torch.inference_mode():
                    output = self._model(batch, n_attention=settings.n_attention(self.n_blocks))
                    maps, logits = concept_maps(output, self._model, settings), output.code_logits
        return logits.float().cpu().numpy(), maps.float().cpu().numpy()

    def bit_map(self, image: np.ndarray, bit: int) -> np.ndarray:
        """Gradient-weighted attention of bit ``bit`` (0-based): (h, w) float32, sums to 1.

        Raises
        ------
        ConfigError
            If the code has no such bit.
        """
        n_bits = self.checkpoint.config.n_bits
        if not 0 <= bit < n_bits:
            raise ConfigError(f"There is no bit {bit}; this model has bits 0 to {n_bits - 1}.")
        batch = self._batch([image])
        with self._lock:
            return bit_map(self._model, batch, bit)[0].float().cpu().numpy()

    def _batch(self, images: Sequence[np.ndarray]) -> Tensor:
        config = self.checkpoint.config.backbone
        resized = np.stack([resize_for_model(image, config.image_size) for image in images])  # (n, h, w, 3)
        return normalize_images(torch.from_numpy(resized).to(self.device), config)


def normalize_images(images: Tensor, config: BackboneConfig) -> Tensor:
    """RGB uint8 (B, H, W, 3) → normalized float32 (B, 3, H, W)."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (config.mean, config.std))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std  # channels last in memory, as the stem likes it


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``"auto"`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ConfigError
        If the name is unknown or this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    kind = name.split(":")[0]
    if kind not in available:
        raise ConfigError(f"There is no device {name!r}; choose auto, cpu, cuda or mps.")
    if not available[kind]:
        raise ConfigError(f"This machine has no {kind} device that torch can use; choose auto or cpu.")
    return torch.device(name)
