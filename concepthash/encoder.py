"""A loaded model that threads take turns with: RGB images in, code logits and concept maps out, numpy at the border."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .attention_centers import attention_centers
from .attribution import MapSettings, bit_map, concept_maps, gradient_maps
from .checkpoint import Checkpoint, load_model
from .config import BackboneConfig
from .data.transforms import resize_for_model
from .devices import join, told_when_full
from .errors import ConfigError
from .model import ConceptHash, ConceptHashOutput

__all__ = ["EncodedImages", "Encoder", "ImageExplanation", "normalize_images"]


class EncodedImages(NamedTuple):
    """Code logits (n, K), and attention centers (n, M, 2): x and y as shares of the image in [0, 1]; float32."""

    code_logits: np.ndarray
    attention_centers: np.ndarray


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
        ``"auto"`` (CUDA, then Apple's MPS, then the CPU), ``"cpu"``, ``"cuda"`` or ``"mps"``; see `join`.
    half
        Whether `code_logits` and `encode` may run in float16 on CUDA; elsewhere it changes nothing. Every image with
        a bit nearer to its threshold than `HALF_TOLERANCE`, or beyond what float16 holds, is encoded again in float32,
        so codes stay equal; attention centers of the others are those of float16.
    copies
        How many calls may run at a time on the CPU; they share the weights. Elsewhere one runs after the other.

    Raises
    ------
    CheckpointError
        If the weights are missing or altered.
    ConfigError
        If the device is unknown or absent.
    """

    HALF_TOLERANCE = 0.05

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", *, half: bool = False, copies: int = 1) -> None:
        self.checkpoint = checkpoint
        self.device = join(device)
        self.half = half and self.device.type == "cuda"
        self._model = load_model(checkpoint, self.device)
        self._free: SimpleQueue[ConceptHash] = SimpleQueue()
        for model in (
            self._model,
            *(_with_same_weights(self._model) for _ in range(1, copies if self.device.type == "cpu" else 1)),
        ):
            self._free.put(model)
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

    @told_when_full
    def code_logits(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Code logits of RGB uint8 images (H, W, 3) of any sizes: (n, K) float32."""
        if not images:
            return np.empty((0, self.checkpoint.config.n_bits), np.float32)
        batch = self._batch(images)
        with self._turn() as model, torch.inference_mode():
            return self._forward(model, batch).code_logits.cpu().numpy()

    @told_when_full
    def encode(self, images: Sequence[np.ndarray]) -> EncodedImages:
        """Code logits and attention centers of the same, from one pass; the centers are those of the rollout."""
        if not images:
            config = self.checkpoint.config
            return EncodedImages(
                np.empty((0, config.n_bits), np.float32), np.empty((0, config.n_concepts, 2), np.float32)
            )
        batch, settings = self._batch(images), MapSettings()
        with self._turn() as model, torch.inference_mode():
            output = self._forward(model, batch, settings.n_attention(self.n_blocks))
            maps = concept_maps(output, model, settings)
            return EncodedImages(output.code_logits.cpu().numpy(), attention_centers(maps.float().cpu().numpy()))

    def explain(self, image: np.ndarray, settings: MapSettings = MapSettings()) -> ImageExplanation:
        """Code logits and the map of every concept for one RGB uint8 image (H, W, 3).

        A map covers the whole image: cell (row, column) of (h, w) is the image's rectangle at the same shares of its
        height and width.
        """
        logits, maps = self.explain_batch([image], settings)
        return ImageExplanation(logits[0], maps[0])

    @told_when_full
    def explain_batch(
        self, images: Sequence[np.ndarray], settings: MapSettings = MapSettings()
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for several images: (n, K) and (n, M, h, w) float32."""
        batch = self._batch(images)
        with self._turn() as model:
            if settings.method == "gradient":
                maps, logits = gradient_maps(model, batch, settings)
            else:
                with torch.inference_mode():
                    output = model(batch, n_attention=settings.n_attention(self.n_blocks))
                    maps, logits = concept_maps(output, model, settings), output.code_logits
        return logits.float().cpu().numpy(), maps.float().cpu().numpy()

    @told_when_full
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
        with self._turn() as model:
            return bit_map(model, batch, bit)[0].float().cpu().numpy()

    @contextmanager
    def _turn(self) -> Iterator[ConceptHash]:
        """Wait for a model that nobody else uses meanwhile."""
        model = self._free.get()
        try:
            yield model
        finally:
            self._free.put(model)

    def _forward(self, model: ConceptHash, batch: Tensor, n_attention: int = 0) -> ConceptHashOutput:
        """One pass, in float16 where that is allowed, with signs as in float32; what it gives is float32."""
        if not self.half:
            output = model(batch, n_attention=n_attention)
            return output._replace(code_logits=output.code_logits.float())
        with torch.autocast(self.device.type, dtype=torch.float16):
            output = model(batch, n_attention=n_attention)
        size = output.code_logits.float().abs()
        unsure = ~((size >= self.HALF_TOLERANCE) & (size < torch.inf)).all(dim=1)  # NaN is not sure either
        logits, embeddings, patches = map(Tensor.float, output[:3])
        output = ConceptHashOutput(logits, embeddings, patches, tuple(map(Tensor.float, output.attention)))
        if unsure.any():
            again = model(batch[unsure], n_attention=n_attention)
            for found, full in zip((*output[:3], *output.attention), (*again[:3], *again.attention), strict=True):
                found[unsure] = full
        return output

    def _batch(self, images: Sequence[np.ndarray]) -> Tensor:
        config = self.checkpoint.config.backbone
        resized = np.stack([resize_for_model(image, config.image_size) for image in images])  # (n, h, w, 3)
        return normalize_images(torch.from_numpy(resized).to(self.device), config)


def _with_same_weights(model: ConceptHash) -> ConceptHash:
    """Copy everything of a model but its tensors, so that two threads can use it at once."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def normalize_images(images: Tensor, config: BackboneConfig) -> Tensor:
    """RGB uint8 (B, H, W, 3) → normalized float32 (B, 3, H, W)."""
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (config.mean, config.std))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std  # channels last in memory, as the stem likes it
