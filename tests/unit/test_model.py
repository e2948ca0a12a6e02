"""The network: shapes, who owns which bits, what trains, and equality with the plain transformer."""

import dataclasses

import open_clip
import pytest
import timm
import torch
from builders import tiny_classes, tiny_config, tiny_model
from torch import Tensor

from concepthash.adapters import AdaptedBlock
from concepthash.backbones import build_backbone, pretrained_input
from concepthash.config import CLIP_MEAN, CLIP_STD, MODEL_PRESETS, BackboneConfig, HeadConfig, ModelConfig
from concepthash.dropout import ChannelDropout
from concepthash.errors import ConfigError
from concepthash.model import ConceptHash
from concepthash.stem_weights import load_stem_weights

PURE = BackboneConfig(name="vit_tiny_patch16_224", image_size=(32, 48), adapter_dim=8)


CLIP = BackboneConfig(name="clip", image_size=(32, 32), width=48, depth=2, n_heads=4, patch_size=16, mlp_dim=100)


def pure_model(**changes: object) -> ConceptHash:
    torch.manual_seed(0)
    return ConceptHash(tiny_config(backbone=PURE, centers="learnable", text_dim=0, **changes)).eval()


def test_forward_gives_the_shapes_of_the_paper(model: ConceptHash, images: Tensor) -> None:
    output = model(images, n_attention=1)
    assert output.code_logits.shape == (3, 8)
    assert output.concept_embeddings.shape == (3, 2, 32)
    assert output.patch_tokens.shape == (3, 12, 32)
    assert [a.shape for a in output.attention] == [(3, 4, 14, 14)]
    assert model.class_centers().shape == (5, 8)


def test_attention_rows_sum_to_one(model: ConceptHash, images: Tensor) -> None:
    for attention in model(images, n_attention=2).attention:
        torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 4, 14))


def test_a_concept_owns_its_own_bits_and_no_others(model: ConceptHash) -> None:
    embeddings = torch.randn(3, 2, 32)
    changed = embeddings.clone()
    changed[:, 1] += 1
    difference = (model.hash_head(embeddings) - model.hash_head(changed)).abs()
    assert (difference[:, :4] == 0).all()
    assert (difference[:, 4:] > 0).all()


def test_a_concept_that_reads_patches_holds_only_what_stands_where_it_looks(images: Tensor) -> None:
    model = tiny_model(tiny_config(reading="patches"))
    features, place = model.backbone.stem(images), 5
    output = model.forward_features(features, n_attention=2)
    for attention in output.attention:
        assert attention.shape == (3, 4, 2, 14)
        torch.testing.assert_close(attention[..., :-2].sum(dim=-1), torch.ones(3, 4, 2))
    changed = features.clone()
    changed.flatten(2)[:, :, place] += 1.0  # no other patch, and no concept, hears of it but by looking there
    again = model.forward_features(changed, n_attention=2)
    kept = [p for p in range(12) if p != place]
    torch.testing.assert_close(again.patch_tokens[:, kept], output.patch_tokens[:, kept])
    assert not torch.allclose(again.patch_tokens[:, place], output.patch_tokens[:, place])
    assert not torch.allclose(again.code_logits, output.code_logits)


def test_reading_patches_gives_the_same_codes_where_its_attention_is_asked_for(images: Tensor) -> None:
    for model in (tiny_model(tiny_config(reading="patches")), pure_model(reading="patches")):
        pictures = images[:, :, :32, :48] if model.config.backbone.adapter_dim else images
        torch.testing.assert_close(model(pictures).code_logits, model(pictures, n_attention=2).code_logits)


def test_a_concept_that_reads_patches_does_not_read_the_class_token(images: Tensor) -> None:
    for reading, is_read in (("all", True), ("patches", False)):
        model, pictures = pure_model(reading=reading), images[:, :, :32, :48]
        before = model(pictures).code_logits
        with torch.no_grad():
            model.backbone.vit.cls_token += torch.randn_like(model.backbone.vit.cls_token)
        assert torch.allclose(model(pictures).code_logits, before) != is_read


def test_a_stem_that_ends_early_is_smaller_and_gives_a_finer_grid(images: Tensor) -> None:
    whole = tiny_config().backbone
    model = tiny_model(tiny_config(backbone=dataclasses.replace(whole, stem_stage=3)))
    assert model.grid_size == (6, 8)
    assert model(images).patch_tokens.shape == (3, 48, 32)
    sizes = [sum(p.numel() for p in m.backbone.frozen_stem.parameters()) for m in (model, tiny_model())]
    assert sizes[0] < 0.3 * sizes[1]
    load_stem_weights(model.backbone, model.config.backbone)
    full = tiny_model()
    load_stem_weights(full.backbone, full.config.backbone)
    first, also = (m.backbone.frozen_stem.blocks[4][0].conv_pwl.weight for m in (model, full))
    assert torch.equal(first, also)


def trained_stages_model(n: int) -> ConceptHash:
    return tiny_model(tiny_config(backbone=dataclasses.replace(tiny_config().backbone, trained_stages=n)))


def test_a_stem_of_which_a_part_trains_begins_as_the_whole_stem(images: Tensor) -> None:
    whole, model = tiny_model(), trained_stages_model(1)
    for each in (whole, model):
        load_stem_weights(each.backbone, each.config.backbone)
    features = model.backbone.stem(images)
    assert features.shape == (3, 208, 3, 4)
    torch.testing.assert_close(model.backbone.tail(features), whole.backbone.stem(images), rtol=1e-4, atol=1e-4)
    assert whole.backbone.tail(features) is features


def test_only_the_last_stages_of_a_stem_train(images: Tensor) -> None:
    model = trained_stages_model(2).train()
    model(images).code_logits.square().sum().backward()
    assert all(p.grad is None for p in model.backbone.frozen_stem.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.backbone.tail.parameters())


def test_depthwise_convolutions_that_train_stay_in_float32_on_a_cpu(images: Tensor) -> None:
    model, given = trained_stages_model(2), {True: set(), False: set()}
    for conv in model.backbone.tail.modules():
        if isinstance(conv, torch.nn.Conv2d):
            conv.register_forward_hook(lambda conv, _, output: given[conv.groups > 1].add(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model(images)
    assert given == {True: {torch.float32}, False: {torch.bfloat16}}


@pytest.mark.parametrize(("stem", "n", "most"), [("tf_efficientnet_lite2", 7, 6), ("resnet18", 1, 0)])
def test_more_stages_than_a_stem_has_cannot_train(stem: str, n: int, most: int) -> None:
    with pytest.raises(ConfigError, match=f"trained_stages is {n}, but of this stem at most {most} can train"):
        ConceptHash(tiny_config(backbone=BackboneConfig(stem=stem, trained_stages=n)))


def test_channels_of_features_are_dropped_and_those_of_images_are_not(images: Tensor) -> None:
    hybrid, pure = tiny_model(), ConceptHash(tiny_config(backbone=CLIP), torch.randn(5, 8))
    for model, is_changed in ((hybrid, True), (pure, False)):
        torch.manual_seed(0)
        features = model.backbone.stem(torch.randn(3, 3, *model.config.backbone.image_size))
        plain = model.backbone.tokens(features)
        model.backbone.feature_dropout.train().p = 0.5
        assert torch.equal(model.backbone.tokens(features), plain) is not is_changed


def test_features_then_forward_equals_forward(model: ConceptHash, images: Tensor) -> None:
    features = model.backbone.stem(images)
    torch.testing.assert_close(model.forward_features(features).code_logits, model(images).code_logits)


def test_the_stem_of_a_fresh_model_does_not_learn_from_a_batch() -> None:
    stem = ConceptHash(tiny_config(), torch.tensor(tiny_classes().text_features)).backbone.frozen_stem
    assert not any(module.training for module in stem.modules())


def test_the_stem_never_trains_nor_moves_its_statistics(images: Tensor) -> None:
    model = tiny_model().train()
    before = {name: t.clone() for name, t in model.backbone.frozen_stem.state_dict().items()}
    model(images).code_logits.sum().backward()
    assert all(not p.requires_grad for p in model.backbone.frozen_stem.parameters())
    assert all(torch.equal(before[name], t) for name, t in model.backbone.frozen_stem.state_dict().items())


def test_a_pure_transformer_has_cls_and_concepts_behind_the_patches() -> None:
    output = pure_model()(torch.randn(2, 3, 32, 48), n_attention=12)
    assert output.patch_tokens.shape == (2, 6, 192)
    assert output.attention[0].shape == (2, 3, 1 + 6 + 2, 1 + 6 + 2)
    assert pure_model().grid_size == (2, 3)


def test_fresh_adapters_change_nothing() -> None:
    adapted = pure_model()
    plain = timm.create_model(PURE.name, num_classes=0, img_size=PURE.image_size).eval()
    state = {k.replace(".block.", "."): v for k, v in adapted.backbone.vit.state_dict().items() if "adapter" not in k}
    plain.load_state_dict(state, strict=False)
    images = torch.randn(2, 3, 32, 48)
    tokens = plain.norm_pre(plain._pos_embed(plain.patch_embed(images)))
    tokens = torch.cat([tokens, adapted.concept_tokens().expand(2, -1, -1)], dim=1)
    torch.testing.assert_close(adapted(images).concept_embeddings, plain.blocks(tokens)[:, -2:])


def test_a_clip_tower_gives_the_tokens_of_open_clip() -> None:
    torch.manual_seed(0)
    theirs = open_clip.transformer.VisionTransformer(
        32, 16, 48, 2, 4, 100 / 48, act_layer=open_clip.transformer.QuickGELU, output_dim=8
    ).eval()
    ours, names = build_backbone(CLIP).eval(), {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2", "ln_": "norm"}
    state = {"cls_token": theirs.class_embedding[None, None], "pos_embed": theirs.positional_embedding[None]}
    state |= {"patch_embed.proj.weight": theirs.conv1.weight}
    state |= {f"norm_pre.{name}": tensor for name, tensor in theirs.ln_pre.state_dict().items()}
    for name, tensor in theirs.transformer.resblocks.state_dict().items():
        for old, new in (names | {"in_proj_": "qkv.", "out_proj": "proj"}).items():
            name = name.replace(old, new)
        state[f"blocks.{name}"] = tensor
    ours.vit.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        got = ours.blocks(ours.vit.norm_pre(ours.tokens(images)))
        torch.testing.assert_close(theirs.ln_post(got[:, 0]) @ theirs.proj, theirs(images))


def test_a_clip_tower_may_go_without_its_class_token() -> None:
    images = torch.randn(2, 3, 32, 32)
    for class_token, n_prefix in ((True, 1), (False, 0)):
        backbone = dataclasses.replace(CLIP, class_token=class_token)
        model = tiny_model(tiny_config(backbone=backbone, centers="learnable", text_dim=0))
        output = model(images, n_attention=1)
        assert output.attention[0].shape[-1] == n_prefix + 4 + 2
        torch.testing.assert_close(output.patch_tokens, model.backbone.tokens(images)[:, n_prefix:])


def test_weights_from_timm_say_what_image_they_expect() -> None:
    expected = pretrained_input("vit_base_patch32_clip_quickgelu_224.openai")
    assert expected == {"image_size": (224, 224), "mean": CLIP_MEAN, "std": CLIP_STD}
    with pytest.raises(ConfigError, match="timm does not know 'no_such_model'"):
        pretrained_input("no_such_model")


def test_registers_are_read_but_give_no_subcode(images: Tensor) -> None:
    for reading in ("all", "patches"):
        model = tiny_model(tiny_config(n_registers=3, reading=reading))
        output = model(images, n_attention=2)
        assert output.code_logits.shape == (3, 8) and output.patch_tokens.shape == (3, 12, 32)
        assert output.attention[0].shape[-1] == 3 + 12 + 2
        with torch.no_grad():
            model.concept_tokens.concept_tokens[2:] += torch.randn(3, 32)
        moved = float((model(images).code_logits - output.code_logits).detach().abs().max())
        assert (moved > 1e-4) == (reading == "all")


def test_concepts_that_change_places_take_their_subcodes_along(images: Tensor) -> None:
    model = tiny_model(tiny_config(n_concepts=4, head=HeadConfig(batch_norm=False)))
    before = model(images).code_logits.unflatten(1, (4, 2))
    order = [2, 0, 3, 1]
    with torch.no_grad():
        for parameter in (model.concept_tokens.concept_tokens, model.hash_head.specificity):
            parameter.copy_(parameter[order].clone())
    torch.testing.assert_close(model(images).code_logits.unflatten(1, (4, 2)), before[:, order])


def test_concepts_may_have_a_map_each_or_share_one_of_several_layers() -> None:
    embeddings = torch.randn(3, 2, 32)
    own = tiny_model(tiny_config(head=HeadConfig(shared=False))).hash_head
    shifted = embeddings + own.specificity
    expected = [shifted[:, m] @ own.to_subcode.weight[m].T for m in range(2)]
    torch.testing.assert_close(own.to_subcode(shifted), torch.stack(expected, dim=1))
    deep = tiny_model(tiny_config(head=HeadConfig(hidden=(7, 6), activation="gelu", batch_norm=False))).hash_head
    assert [type(layer).__name__ for layer in deep.to_subcode] == ["Linear", "GELU", "Linear", "GELU", "Linear"]
    assert deep(embeddings).shape == (3, 8)


@pytest.mark.parametrize("preset", sorted(MODEL_PRESETS))
def test_every_preset_makes_a_model_of_its_kind(preset: str) -> None:
    model = tiny_model(tiny_config(prompt_dim=16, **MODEL_PRESETS[preset]))
    kind = {"grounded": "ConceptTokens", "paper": "ConceptTokens", "released": "GeneratedConceptTokens"}
    assert type(model.concept_tokens).__name__ == kind[preset]
    signs = set(model.class_centers.text_features.unique().tolist()) <= {-1.0, 1.0}
    assert signs == (preset == "released")
    assert (model.patch_classifier is not None) == (preset == "grounded")


def test_with_adapters_the_transformer_is_frozen_and_the_adapters_are_not() -> None:
    trained = {name for name, p in pure_model().named_parameters() if p.requires_grad}
    assert not [name for name in trained if name.startswith("backbone") and "adapter" not in name]
    assert len([name for name in trained if "adapter" in name]) == 12 * 2 * 7


def test_adapters_of_the_papers_size_have_its_number_of_parameters() -> None:
    block = timm.create_model("vit_base_patch32_clip_quickgelu_224", num_classes=0).blocks[0]
    adapted = AdaptedBlock(block, 768, 384)
    per_block = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert 12 * per_block == 14_220_312  # method reference, section A.4


def test_generated_tokens_are_the_same_for_every_image_and_still_when_evaluating() -> None:
    model = pure_model(prompt_generator=True)
    assert model.concept_tokens().shape == (2, 192)
    torch.testing.assert_close(model.concept_tokens(), model.concept_tokens())


@pytest.mark.parametrize("centers", ["language", "learnable", "random"])
def test_every_kind_of_center_trains_as_it_should(centers: str) -> None:
    config = tiny_config(centers=centers, text_dim=8 if centers == "language" else 0)
    model = tiny_model(config)
    trained = [name for name, p in model.class_centers.named_parameters() if p.requires_grad]
    assert bool(trained) == (centers != "random")


def test_signed_text_features_are_signs() -> None:
    model = tiny_model(tiny_config(center_input="sign"))
    assert set(model.class_centers.text_features.unique().tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ModelConfig(n_concepts=3, n_bits=64, text_dim=8), "64 bits do not split over 3 concepts"),
        (lambda: ModelConfig(n_concepts=0), "n_concepts is 0"),
        (lambda: ModelConfig(centers="magic"), "centers is 'magic'"),
        (lambda: ModelConfig(), "need text features"),
        (lambda: BackboneConfig(width=30, n_heads=4), "does not split over 4 heads"),
        (lambda: BackboneConfig(image_size=(8, 8)), "at least 16 pixels"),
        (lambda: ConceptHash(tiny_config(), None), "Text features of shape 5x8 are needed, got none"),
        (
            lambda: build_backbone(BackboneConfig(name="no_such_model")),
            "'no_such_model' is not a VisionTransformer that timm can make",
        ),
        (lambda: build_backbone(BackboneConfig(name="resnet18")), "VisionTransformer"),
        (lambda: pretrained_input("vit_base_patch32_clip_quickgelu_224.opnai"), "timm does not know .*opnai"),
        (lambda: BackboneConfig(std=(0.5, 0.0, 0.5)), "give three numbers greater than 0"),
        (lambda: build_backbone(CLIP, pretrained=True), "'clip' has no weights of its own"),
        (lambda: dataclasses.replace(CLIP, n_heads=5), "width 48 does not split over 5 heads"),
        (lambda: dataclasses.replace(CLIP, activation="relu"), "activation is 'relu'"),
        (lambda: HeadConfig(shared=False, hidden=(3,)), "concepts that share it"),
        (lambda: tiny_config(prompt_generator=True, prompt_dim=9), "prompt_dim 9 does not split over 8 heads"),
        (lambda: tiny_config(n_registers=-1), "n_registers and text_hidden must be 0 or more"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(build: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build()  # type: ignore[operator]


def test_classes_of_the_fixture_fit_the_model() -> None:
    assert len(tiny_classes().names) == tiny_config().n_classes


def test_dropout_takes_the_same_channels_from_all_tokens_and_keeps_the_mean() -> None:
    layer, tokens = ChannelDropout(0.25).train(), torch.ones(64, 7, 128)
    dropped = layer(tokens)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
    assert layer.eval()(tokens) is tokens


def test_a_hybrid_drops_channels_wherever_it_drops() -> None:
    kinds = [type(module) for module in tiny_model().backbone.vit.modules()]
    assert kinds.count(ChannelDropout) == 1 + 3 * 2  # behind the positions, and in two blocks of three places
    assert all(module.p == 0 for module in tiny_model().backbone.modules() if isinstance(module, torch.nn.Dropout))
