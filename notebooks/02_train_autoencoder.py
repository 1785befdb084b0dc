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
# An autoencoder learns to reproduce its input through a narrow layer (Hinton & Salakhutdinov 2006).
# The values of this layer for an image, its *latent*, may serve as a representation for clustering.
# The training does not ask for clusters: the loss measures reconstruction alone, without labels.
#
# Architecture and protocol come from the study's file. Where the paper is silent, the choice was
# made before the first run and is listed in the report.

# %% tags=["parameters"]
# Defaults. A run of the report adds a cell below with its own values, which replace these.
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the weights and of the order of the images
run_dir = None  # where results go; None: runs/interactive
epochs = None  # None: the study's own, limited by the profile

# %% tags=["nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import display

from utils import figures, runs
from utils.representations import autoencoders, training

run = runs.open_study("02_train_autoencoder", study, profile, seed, run_dir, epochs=epochs)

# %%
protocol = run.study.autoencoder
print(run)
for name, value in protocol:
    print(f"{name}: {value}")

# %% [markdown]
# ## Architecture
#
# The table is read from the network itself: each layer is run once, and the shape of its output and
# its trainable parameters are listed. The decoder ends before the sigmoid that makes pixels of its
# output; the loss and the reconstruction apply it. In some studies the output is linear, without
# one.

# %%
untrained = run.architecture()
resize = run.study.images.resize
layers = autoencoders.layer_table(untrained, training.image_shape(run.images, resize))
if not isinstance(untrained, autoencoders.LinearAutoencoder):
    layers.append({**layers[-1], "layer": "Sigmoid", "parameters": 0})
parameters = pd.DataFrame(layers)
parameters["output_shape"] = ["×".join(map(str, layer["output_shape"])) for layer in layers]
run.record.table(parameters, "parameters", "Layers of the autoencoder, read from the network.")

# %%
run.record.figure(figures.architecture(layers), "architecture")

# %%
counts = autoencoders.count_parameters(untrained)
latent_shape = [layer["output_shape"] for layer in layers if layer["part"] == "encoder"][-1]
facts = {
    "n_parameters": int(parameters["parameters"].sum()),
    "n_weights": counts["weights"],
    "n_biases": counts["biases"],
    "latent_size": int(np.prod(latent_shape)),
}
run.record.fact("n_parameters", facts["n_parameters"])
run.record.fact("n_weights", facts["n_weights"])
run.record.fact("n_biases", facts["n_biases"])
run.record.fact("latent_size", facts["latent_size"])
print(facts)
run.result(facts)

# %% [markdown]
# ## Training
#
# `run.autoencoder()` calls `training.train(images, protocol, seed)` and stores the result; exactly
# the same training is not repeated. A checkpoint after every epoch lets an interrupted training go
# on. The precision is part of the protocol: float32 on every processor, as in the papers.

# %% tags=["nbval-ignore-output"]
model, history = run.autoencoder()
run.record.fact("final_loss", float(history["loss"].iloc[-1]))
if "validation_loss" in history:
    run.record.fact("final_validation_loss", float(history["validation_loss"].iloc[-1]))
run.record.fact("epochs_run", len(history))
run.record.fact("train_seconds", float(history["seconds"].sum()))
run.record.fact("device", training.pick_device().type)
run.record.fact("precision", protocol.precision)
run.record.losses("autoencoder", history)
print(f"Result: loss {history['loss'].iloc[-1]:.5f} after {len(history)} epochs")
run.record.table(history, "history", "Loss and time by epoch.")

# %%
run.record.figure(figures.loss_curve(history, protocol.loss), "loss_curve")

# %% [markdown]
# ## Reconstructions
#
# If the reconstructions are poor, the latents cannot be trusted; if they are good, that alone says
# nothing about clusters.

# %%
originals = run.images[:10]
reconstructed = figures.to_images(training.reconstruct(model, originals, resize))
run.record.figure(figures.reconstructions(originals, reconstructed), "reconstructions")

# %% [markdown]
# ## Variants
#
# Where the paper is silent or says two things, the other reading is built as well. It is trained
# under the same protocol, for as many seeds as the profile says; notebook 3 clusters it.

# %%
sizes = {}
for variant in run.study.variants:
    count = sum(autoencoders.count_parameters(run.architecture(variant)).values())
    sizes[variant.name] = count
    run.record.fact(f"n_parameters_{variant.name}", count)
    run.result({f"n_parameters_{variant.name}": count})

# %% tags=["nbval-ignore-output"]
rows = []
for trained in run.variants:
    _, losses = run.autoencoder(trained)
    run.record.losses(f"autoencoder-{trained.name}", losses)
    rows.append(
        {
            "variant": trained.name,
            "why": trained.why,
            "parameters": sizes[trained.name],
            "epochs": len(losses),
            "last loss": losses["loss"].iloc[-1],
        }
    )
if rows:
    display(run.record.table(pd.DataFrame(rows), "variants", "Variants of the autoencoder."))
else:
    print("no variant is trained for this study and seed")

# %% [markdown]
# ## Latents
#
# The encoder turns every image into a vector. Notebook 3 clusters these vectors.

# %%
latents = training.encode(model, run.images, resize)
print(f"latents: {latents.shape}, {latents.dtype}; all finite: {np.isfinite(latents).all()}")

# %%
run.record.finish()
