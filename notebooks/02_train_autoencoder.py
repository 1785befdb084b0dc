# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Training the autoencoder
#
# An autoencoder learns to reproduce its input through a narrow middle (Hinton & Salakhutdinov
# 2006). What the middle holds for an image, its *latent*, is then a candidate representation for
# clustering. Nothing in the training asks for clusters: the loss rewards reconstruction alone, and
# no label is involved.
#
# Architecture and protocol come from the study's file. Where the paper is silent, the choice was
# made before the first run and is listed in the report.

# %% tags=["parameters"]
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the weights and of the order of the images
run_dir = None  # where results go; None: runs/interactive
epochs = None  # None: the study's own, cut by the profile

# %% tags=["nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import display

from utils import figures
from utils.representations import autoencoders, training
from utils.runs import study as study_module

figures.use_style()
run = study_module.open_run("02_train_autoencoder", study, profile, seed, run_dir, epochs=epochs)

# %%
protocol = run.study.autoencoder
shape = training.image_shape(run.images, run.study.images.resize)
print(
    f"{protocol.architecture} {protocol.options}, {protocol.loss}, {protocol.optimizer.name} "
    f"with learning rate {protocol.optimizer.learning_rate}, batches of {protocol.batch_size}"
)

# %% [markdown]
# ## Architecture
#
# The table is read off the network itself: each layer is run once, and its output's shape and its
# trainable parameters are written down.

# %%
layers = autoencoders.layer_table(run.architecture(), shape)
parameters = pd.DataFrame(layers)
parameters["output_shape"] = parameters["output_shape"].map(lambda s: "×".join(map(str, s)))
run.table(parameters, "parameters", "Layers of the autoencoder, read off the network.")

# %%
latent_shape = [row["output_shape"] for row in layers if row["part"] == "encoder"][-1]
n_parameters = int(parameters["parameters"].sum())
counts = autoencoders.count_parameters(run.architecture())
run.fact("n_parameters", n_parameters)
run.fact("n_weights", counts["weights"])
run.fact("n_biases", counts["biases"])
run.fact("latent_size", int(np.prod(latent_shape)))
print(
    f"{n_parameters:,} trainable parameters; latent {'×'.join(map(str, latent_shape))} = "
    f"{np.prod(latent_shape):,} numbers for {np.prod(shape):,} pixels"
)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.architecture(layers),
    "architecture",
    f"The autoencoder: {n_parameters:,} trainable parameters, latent of "
    f"{np.prod(latent_shape):,} numbers.",
    f"Block diagram of the encoder and the decoder: {np.prod(shape):,} pixels become "
    f"{np.prod(latent_shape):,} numbers.",
)

# %% [markdown]
# ## Training
#
# The images stay in memory as bytes; each batch is cut and scaled on the device. The precision is
# part of the protocol: float32 on every processor, as in the papers. A checkpoint after every
# epoch lets an interrupted training go on. If exactly this training was done before, its result is
# loaded.

# %% tags=["nbval-ignore-output"]
model, history = run.autoencoder()
device = training.pick_device()
run.table(history, "history", "Loss and time by epoch.")
run.fact("final_loss", float(history["loss"].iloc[-1]))
run.fact("epochs_run", len(history))
run.fact("train_seconds", float(history["seconds"].sum()))
run.fact("device", device.type)
run.fact("precision", protocol.precision)
print(f"{len(history)} epochs, final loss {history['loss'].iloc[-1]:.5f}")

# %% tags=["nbval-ignore-output"]
trend = "falls" if history["loss"].is_monotonic_decreasing else "falls and rises"
run.figure(
    figures.loss_curve(history),
    "loss_curve",
    f"Training loss ({protocol.loss.replace('_', ' ')}) over {len(history)} epochs, from "
    f"{history['loss'].iloc[0]:.4f} to {history['loss'].iloc[-1]:.4f}.",
    f"Line chart of the training loss by epoch; it {trend} until the last one.",
)

# %% [markdown]
# ## Reconstructions
#
# If these are poor, the latents cannot be trusted; if they are good, that alone says nothing about
# clusters.

# %% tags=["nbval-ignore-output"]
shown = run.images[:10]
reconstructed = training.reconstruct(model, shown, run.study.images.resize)
run.figure(
    figures.reconstructions(shown, figures.to_images(reconstructed)),
    "reconstructions",
    "The first ten images and their reconstructions.",
    "Two rows of ten images: originals above, reconstructions below; the training ended with a "
    f"mean loss of {history['loss'].iloc[-1]:.4f}.",
)

# %% [markdown]
# ## Variants
#
# Where the paper says two things, or nothing, the other reading is built as well and, for as many
# seeds as the profile says, trained under the same protocol. Notebook 3 clusters it.

# %%
sizes = {
    variant.name: sum(autoencoders.count_parameters(run.architecture(variant)).values())
    for variant in run.study.variants
}
for name, size in sizes.items():
    run.fact(f"n_parameters_{name}", size)
    print(f"{name}: {size:,} trainable parameters")

# %% tags=["nbval-ignore-output"]
trained = []
for variant in run.variants:
    _, losses = run.autoencoder(variant)
    trained.append(
        {
            "variant": variant.name,
            "why": variant.why,
            "parameters": sizes[variant.name],
            "epochs": len(losses),
            "last loss": losses["loss"].iloc[-1],
        }
    )
if trained:
    display(run.table(pd.DataFrame(trained), "variants", "Variants of the autoencoder."))
else:
    print("none is trained for this study and seed")

# %% [markdown]
# ## Latents
#
# The encoder turns every image into a vector of the latent's size. Notebook 3 clusters them.

# %%
latents = run.latents()
print(
    f"latents: {latents.shape[0]:,} × {latents.shape[1]:,}, {latents.dtype}, "
    f"all finite: {bool(np.isfinite(latents).all())}"
)

# %% tags=["nbval-ignore-output"]
run.finish()
