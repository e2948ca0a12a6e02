"""What is used of timm, imported where starting takes no longer than it must."""

from .without_compiler import without_compiler

__all__ = ["Attention", "Block", "EfficientNet", "HybridEmbed", "VisionTransformer", "timm"]

with without_compiler():
    import timm
    from timm.layers import Attention, HybridEmbed
    from timm.models.efficientnet import EfficientNet
    from timm.models.vision_transformer import Block, VisionTransformer
