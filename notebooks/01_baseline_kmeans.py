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
# # 1. The data, and k-means on raw pixels
#
# A learned representation must be compared with something. This notebook shows the images of a
# study and clusters them as they are: k-means (Lloyd 1982; k-means++ seeding, Arthur &
# Vassilvitskii 2007) on the raw pixels and on their first 50 principal components. An autoencoder
# is useful for clustering only if it improves on these baselines.
#
# Labels are used only to describe the data and to score finished clusterings. The number of
# clusters is the number of classes, as in the papers; this number does come from the labels.

# %% tags=["parameters"]
# Defaults. A run of the report adds a cell below with its own values, which replace these.
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of k-means, unless the study fixes one
run_dir = None  # where results go; None: runs/interactive
n_clusters = None  # None: the study's own

# %% tags=["nbval-ignore-output"]
import numpy as np

from utils import clustering, figures, metrics, runs, spaces
from utils.runs import sweeps

run = runs.open_study("01_baseline_kmeans", study, profile, seed, run_dir, n_clusters=n_clusters)

# %% [markdown]
# ## The images
#
# The profile may limit the study to its first images; the order is that of the data set.

# %%
shape = "×".join(str(side) for side in run.images.shape[1:])
run.record.fact("n_images", len(run.images))
run.record.fact("image_shape", shape)
run.record.fact("n_classes", len(run.class_names))
print(run)
print(f"{shape} pixels with values from {run.images.min()} to {run.images.max()}")

# %%
samples = figures.samples(run.images, run.labels, run.class_names, per_class=8)
run.record.figure(samples, "samples")

# %% [markdown]
# k-means assumes clusters of similar size, so the balance of the classes matters.

# %%
run.record.figure(figures.class_balance(run.labels, run.class_names), "class_balance")

# %% [markdown]
# If k-means found a class exactly, its centre would be the mean image of the class. Where this mean
# is blurred, a single centre is a poor model of the class in pixel space.

# %%
run.record.figure(figures.mean_images(run.images, run.labels, run.class_names), "mean_images")

# %% [markdown]
# ## k-means on raw pixels
#
# Each image is a vector of its pixels, scaled to [0, 1]. The settings of k-means are the study's.

# %%
protocol = run.study.kmeans
pixels = run.pixels()
print(f"k-means: {protocol}")
print(f"pixels: {pixels.shape}, {pixels.dtype}, from {pixels.min():.0f} to {pixels.max():.0f}")

# %%
baseline = clustering.kmeans(
    pixels, n_clusters=protocol.n_clusters, n_init=protocol.n_init, seed=protocol.random_state
)
print(f"{metrics.k_found(baseline.assignment)} clusters; centres: {baseline.centres.shape}")

# %% tags=["nbval-ignore-output"]
scores = metrics.score(baseline.assignment, run.labels, pixels)
run.result(scores, "pixels", "raw", "kmeans")
majorities = np.unique(metrics.majority_order(run.labels, baseline.assignment).majority)
run.record.fact("classes_found_pixels", len(majorities))
print(f"Result: {len(majorities)} of {len(run.class_names)} classes are the majority of a cluster")
run.record.score("pixels", "raw", "kmeans", baseline.assignment, scores).to_frame().T.round(4)

# %% [markdown]
# Nothing is trained here, so k-means alone makes one run differ from another. The same pixels are
# clustered from several seeds. Where the paper leaves the seed open, each is a run of its protocol.

# %% tags=["nbval-ignore-output"]
seeds = range(run.profile.untrained_seeds)
starts = sweeps.kmeans_by_seed(pixels, run.labels, protocol.n_clusters, protocol.n_init, seeds)
by_seed = run.record.starts("pixels", "raw", "kmeans", starts, are_runs=run.kmeans_seed_is_open)
print(f"Result: ARI from {by_seed['ari'].min():.4f} to {by_seed['ari'].max():.4f}")
by_seed.round(4)

# %% [markdown]
# The *sorted* confusion matrix orders the clusters by their majority class and names each row after
# it (Schlachter 2020). A class that is the majority of no cluster has no row: it was not found.

# %%
confusion = figures.majority_confusion(
    run.labels, baseline.assignment, run.class_names, "k-means on raw pixels"
)
run.record.figure(confusion, "confusion_pixels")

# %% [markdown]
# ## k-means on principal components
#
# Fifty components keep most of the variance. Study `mnist-cae` reduces the autoencoder's latents to
# as many, so this baseline shows what PCA contributes on its own.

# %%
components, ratio = spaces.pca(pixels, n_components=50)
reduced = clustering.kmeans(components, protocol.n_clusters, protocol.n_init, protocol.random_state)
print(f"components: {components.shape}; centres: {reduced.centres.shape}")

# %% tags=["nbval-ignore-output"]
run.record.fact("pca50_explained_variance_pixels", float(ratio.sum()))
scores_reduced = metrics.score(reduced.assignment, run.labels, components)
print(f"{ratio.sum():.1%} of the variance is kept")
run.result(scores_reduced, "pixels", "pca50", "kmeans")
run.record.score(
    "pixels", "pca50", "kmeans", reduced.assignment, scores_reduced
).to_frame().T.round(4)

# %%
run.record.finish()
