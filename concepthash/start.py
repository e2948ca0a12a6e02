"""Start a model from the weights of another one, of the same network but of other classes, bits or concepts."""

import torch
from torch import Tensor

from .checkpoint import STEM, TAIL, Checkpoint, weights_of
from .errors import CheckpointError
from .model import ConceptHash
from .stems import cut_tail, make_stem

__all__ = ["start_from"]

OF_CLASSES = ("concept_centroids", "patch_classifier.", "class_centers.free_centers", "class_centers.fixed_centers")
OF_CONCEPTS = ("concept_tokens.concept_tokens", "concept_offset", "hash_head.specificity")  # (M, D)


@torch.no_grad()
def start_from(model: ConceptHash, checkpoint: Checkpoint, class_names: tuple[str, ...]) -> list[str]:
    """Fill a fresh model with whatever of a checkpoint's weights fits it.

    The network (stem and transformer) must be the same, but stages of the stem that were frozen may train from now on.
    With other classes, what belongs to single classes stays fresh; with another number of concepts those that both
    have are taken; maps of another size stay fresh.

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
    state, own = _with_longer_tail(weights_of(checkpoint), checkpoint, model), model.state_dict()
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


def _with_longer_tail(state: dict[str, Tensor], checkpoint: Checkpoint, model: ConceptHash) -> dict[str, Tensor]:
    """The weights, with those of stages that were frozen and train in ``model`` in the tail, before what is there."""
    config, n_before = model.config.backbone, checkpoint.config.backbone.trained_stages
    n_more = config.trained_stages - n_before
    if n_more <= 0:
        return state
    stem = make_stem(config)
    cut_tail(stem, n_before)
    taken = {name.removeprefix(STEM): tensor for name, tensor in state.items() if name.startswith(STEM)}
    if {name: tensor.shape for name, tensor in taken.items()} != {n: t.shape for n, t in stem.state_dict().items()}:
        return state
    stem.load_state_dict(taken)
    moved = {f"{TAIL}{name}": tensor for name, tensor in cut_tail(stem, n_more).state_dict().items()}
    for name, tensor in state.items():
        if name.startswith(TAIL):
            number, _, rest = name.removeprefix(TAIL).partition(".")
            moved[f"{TAIL}{int(number) + n_more}.{rest}"] = tensor
    return {name: tensor for name, tensor in state.items() if not name.startswith(TAIL)} | moved
