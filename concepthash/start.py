"""Start a model from the weights of another one, of the same network but of other classes, bits or concepts."""

import torch

from .checkpoint import Checkpoint, weights_of
from .errors import CheckpointError
from .model import ConceptHash

__all__ = ["start_from"]

OF_CLASSES = ("concept_centroids", "patch_classifier.", "class_centers.free_centers", "class_centers.fixed_centers")
OF_CONCEPTS = ("concept_tokens.concept_tokens", "concept_offset", "hash_head.specificity")  # (M, D)


@torch.no_grad()
def start_from(model: ConceptHash, checkpoint: Checkpoint, class_names: tuple[str, ...]) -> list[str]:
    """Fill a fresh model with whatever of a checkpoint's weights fits it.

    The network (stem and transformer) must be the same. With other classes, what belongs to single classes stays fresh;
    with another number of concepts those that both have are taken; maps of another size stay fresh.

    Parameters
    ----------
    class_names
        The C classes of the fresh model.

    Returns
    -------
    list of str
        Names of the weights that stayed fresh.

    Raises
    ------
    CheckpointError
        If the weights are missing or altered, or the networks differ.
    """
    state, own = weights_of(checkpoint), model.state_dict()
    has_same_classes = tuple(checkpoint.class_names) == tuple(class_names)
    fresh = []
    for name, tensor in own.items():
        taken = state.get(name)
        if taken is None or (name.startswith(OF_CLASSES) and not has_same_classes):
            fresh.append(name)
        elif taken.shape == tensor.shape:
            tensor.copy_(taken)
        elif name in OF_CONCEPTS and taken.shape[1:] == tensor.shape[1:]:
            n = min(len(taken), len(tensor))
            tensor[:n] = taken[:n].to(tensor)
        else:
            fresh.append(name)
    other = [name for name in fresh if name.startswith("backbone.")]
    if other:
        raise CheckpointError(
            f"Training cannot start from {checkpoint.name!r}: its network is another one, from {other[0]} on."
        )
    return fresh
