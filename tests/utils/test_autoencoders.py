import pytest
import torch

from utils import config
from utils.errors import UserError
from utils.representations import autoencoders

MNIST = (1, 28, 28)


def test_conv_batchnorm_has_the_parameters_its_layers_add_up_to():
    model = autoencoders.build("conv_batchnorm", MNIST, {"channels": [32, 64]}, seed=0)
    # By hand: weights + biases of each layer; batch norm has a scale and a shift per channel.
    encoder = (1 * 9 * 32 + 32) + 2 * 32 + (32 * 9 * 64 + 64) + 2 * 64
    decoder = (64 * 9 * 32 + 32) + (32 * 9 * 1 + 1)
    assert sum(p.numel() for p in model.encoder.parameters()) == encoder == 19_008
    assert sum(p.numel() for p in model.decoder.parameters()) == decoder == 18_753


def test_layer_table_gives_every_shape_in_order():
    model = autoencoders.build("conv_batchnorm", MNIST, {"channels": [32, 64]}, seed=0)
    rows = autoencoders.layer_table(model, MNIST)
    assert [row["output_shape"] for row in rows if "Conv" in row["layer"]] == [
        (32, 28, 28),
        (64, 14, 14),
        (32, 14, 14),
        (1, 28, 28),
    ]
    assert [row["layer"] for row in rows[:4]] == [
        "Conv2d 3×3",
        "BatchNorm2d",
        "ReLU",
        "MaxPool2d 2×2",
    ]
    assert sum(row["parameters"] for row in rows) == sum(p.numel() for p in model.parameters())
    assert {row["part"] for row in rows} == {"encoder", "decoder"}


def test_layer_table_leaves_batch_norm_and_mode_untouched():
    model = autoencoders.build("conv_batchnorm", MNIST, {"channels": [4]}, seed=0).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    autoencoders.layer_table(model, MNIST)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_reconstruction_has_the_input_shape_and_range():
    model = autoencoders.build("conv_batchnorm", (3, 32, 32), {"channels": [8, 16, 32]}, 0).eval()
    images = torch.rand(5, 3, 32, 32)
    reconstruction = model.reconstruct(images)
    assert reconstruction.shape == images.shape
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1
    assert model.encode(images).shape == (5, 32 * 4 * 4)


def test_the_seed_decides_the_weights():
    def weights(seed):
        return next(
            autoencoders.build("conv_batchnorm", MNIST, {"channels": [4]}, seed).parameters()
        )

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize(
    ("architecture", "shape", "options", "words"),
    [
        ("convnet", MNIST, {}, "unknown architecture 'convnet': allowed are conv_batchnorm"),
        ("conv_batchnorm", MNIST, {"width": 3}, "cannot take"),
        ("conv_batchnorm", (1, 28, 30), {"channels": [4, 8]}, "multiples of 4"),
    ],
)
def test_what_does_not_fit_is_named(architecture, shape, options, words):
    with pytest.raises(UserError, match=words):
        autoencoders.build(architecture, shape, options, seed=0)


@pytest.mark.parametrize(
    ("architecture", "shape", "options", "encoder", "total"),
    [
        ("dense", MNIST, {"widths": [128, 64, 32]}, 100_480 + 8_256 + 2_080, 222_384),
        (
            "conv_dense",
            MNIST,
            {"channels": 16, "widths": [784, 392, 196, 10]},
            160 + 9_835_280 + 307_720 + 77_028 + 1_970,
            10_609_650,
        ),
        (
            "conv_dense",
            MNIST,
            {"channels": 16, "widths": [784, 392, 196, 14]},
            160 + 9_835_280 + 307_720 + 77_028 + 2_758,
            10_611_222,
        ),
        (
            "conv_dropout",
            (3, 64, 64),
            {"channels": [32, 64, 128, 256], "dropout": 0.3},
            388_416,
            776_579,
        ),
    ],
)
def test_published_architectures_have_their_exact_parameter_counts(
    architecture, shape, options, encoder, total
):
    model = autoencoders.build(architecture, shape, options, seed=0)
    assert sum(p.numel() for p in model.encoder.parameters()) == encoder
    assert sum(p.numel() for p in model.parameters()) == total
    images = torch.rand(2, *shape)
    assert model(images).shape == images.shape


def test_the_dense_autoencoder_has_the_weights_the_paper_counts_without_biases():
    model = autoencoders.build("dense", MNIST, {"widths": [128, 64, 32]}, seed=0)
    counts = {
        suffix: sum(p.numel() for n, p in model.named_parameters() if n.endswith(suffix))
        for suffix in ("weight", "bias")
    }
    assert counts == {"weight": 221_184, "bias": 1_200}


def test_latents_have_the_published_sizes():
    def latent(architecture, shape, **options):
        model = autoencoders.build(architecture, shape, options, seed=0).eval()
        return model.encode(torch.rand(1, *shape))

    assert latent("dense", MNIST, widths=[128, 64, 32]).shape == (1, 32)
    relu_latent = latent("conv_dense", MNIST, channels=16, widths=[784, 392, 196, 10])
    assert relu_latent.shape == (1, 10)
    assert relu_latent.min() >= 0
    feature_map = latent("conv_dropout", (3, 64, 64), channels=[32, 64, 128, 256], dropout=0.3)
    assert feature_map.shape == (1, 16_384)


OUTPUT_SHAPES = {
    "mnist-cae": "32×28×28 32×14×14 64×14×14 64×7×7 32×14×14 1×28×28",
    "fashion-ae": "128 64 32 64 128 784",
    "mnist-conv-ae": "16×28×28 784 392 196 14 196 392 784",
    "cifar10-cae": (
        "32×64×64 32×32×32 64×32×32 64×16×16 128×16×16 128×8×8 256×8×8 "
        "128×8×8 64×16×16 32×32×32 3×64×64"
    ),
}


@pytest.mark.parametrize("study", OUTPUT_SHAPES)
def test_every_layer_of_the_four_studies_has_the_published_output_shape(study):
    chosen = config.load_study(study)
    side = chosen.images.resize or 28
    shape = (3 if chosen.dataset == "cifar10" else 1, side, side)
    protocol = chosen.autoencoder
    model = autoencoders.build(protocol.architecture, shape, protocol.options, seed=0)
    rows = autoencoders.layer_table(model, shape)
    shapes = [
        "×".join(map(str, row["output_shape"]))
        for row in rows
        if "Conv" in row["layer"] or "Linear" in row["layer"] or "Pool" in row["layer"]
    ]
    assert " ".join(shapes) == OUTPUT_SHAPES[study]
    assert sum(row["parameters"] for row in rows) == sum(
        autoencoders.count_parameters(model).values()
    )


@pytest.mark.parametrize(
    ("study", "variant", "parameters"),
    [("fashion-ae", "latent-64", 226_512), ("mnist-conv-ae", "latent-10", 10_609_650)],
)
def test_variants_have_their_exact_parameter_counts(study, variant, parameters):
    chosen = config.load_study(study)
    (found,) = [item for item in chosen.variants if item.name == variant]
    protocol = chosen.autoencoder
    model = autoencoders.build(protocol.architecture, (1, 28, 28), found.options, seed=0)
    assert sum(autoencoders.count_parameters(model).values()) == parameters


def test_weights_and_biases_of_the_dense_autoencoder_are_counted_apart():
    model = autoencoders.build("dense", (1, 28, 28), {"widths": [128, 64, 32]}, seed=0)
    assert autoencoders.count_parameters(model) == {"weights": 221_184, "biases": 1_200}


def test_conv_batchnorm_can_have_batch_norm_in_its_decoder_before_each_relu():
    options = {"channels": [32, 64], "decoder_norm": True}
    model = autoencoders.build("conv_batchnorm", MNIST, options, seed=0)
    assert [type(layer).__name__ for layer in model.decoder] == [
        "ConvTranspose2d",
        "BatchNorm2d",
        "ReLU",
        "ConvTranspose2d",
    ]
