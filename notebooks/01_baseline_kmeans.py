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
# Every claim about a learned representation needs something to stand against. This notebook looks
# at the images of a study and clusters them as they are: k-means (Lloyd 1982; k-means++ seeding,
# Arthur & Vassilvitskii 2007) on raw pixels, and on their first 50 principal components. Whatever
# an autoencoder adds must show as a difference from these rows.
#
# Labels appear twice, both times after the fact: to describe the data, and to score a finished
# clustering. Nothing that clusters sees them. The number of clusters is the number of classes,
# as in the papers, and that *is* knowledge taken from the labels.

# %% tags=["parameters"]
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of k-means
run_dir = None  # where results go; None: runs/interactive
n_clusters = None  # None: the study's own

# %% tags=["nbval-ignore-output"]
import numpy as np

from utils import figures, metrics, spaces
from utils.figures import clusters
from utils.runs import study as study_module

figures.use_style()
run = study_module.open_run(
    "01_baseline_kmeans", study, profile, seed, run_dir, n_clusters=n_clusters
)

# %% [markdown]
# ## What the images are
#
# The profile may cut the study down to its first images; the order is the data set's own.

# %%
shape = "×".join(str(side) for side in run.images.shape[1:])
run.fact("n_images", len(run.images))
run.fact("image_shape", shape)
run.fact("n_classes", len(run.class_names))
print(
    f"{len(run.images):,} images of {shape} pixels, {run.images.dtype}, {run.images.min()} to "
    f"{run.images.max()}; {len(run.class_names)} classes"
)

# %% tags=["nbval-ignore-output"]
samples = figures.samples(run.images, run.labels, run.class_names, per_class=8)
run.figure(
    samples,
    "samples",
    "The first eight images of each class.",
    f"Grid of sample images, one row for each of {len(run.class_names)} classes: "
    f"{', '.join(run.class_names)}.",
)

# %% [markdown]
# k-means assumes clusters of similar size, so the balance of the classes matters.

# %% tags=["nbval-ignore-output"]
counts = np.bincount(run.labels, minlength=len(run.class_names))
balance = figures.class_balance(run.labels, run.class_names)
run.figure(
    balance,
    "class_balance",
    f"Images per class: from {counts.min():,} ({run.class_names[counts.argmin()]}) to "
    f"{counts.max():,} ({run.class_names[counts.argmax()]}).",
    f"Bar chart of class sizes between {counts.min()} and {counts.max()}.",
)

# %% [markdown]
# The mean of a class is what k-means would use as its centre, had it found the class. Where the
# mean is a blur, one centre is a poor model of the class in pixel space.

# %% tags=["nbval-ignore-output"]
means = figures.mean_images(run.images, run.labels, run.class_names)
run.figure(
    means,
    "mean_images",
    "Mean image of each class. A blurred mean says that the class has no single shape.",
    "One mean image per class.",
)

# %% [markdown]
# ## k-means on raw pixels
#
# Pixels are scaled to [0, 1] and flattened; nothing else is done to them.

# %% tags=["nbval-ignore-output"]
pixels = run.pixels()
baseline = run.kmeans(pixels)
run.score("pixels", "raw", "kmeans", baseline.assignment, pixels).to_frame().T.round(4)

# %% [markdown]
# The *sorted* confusion matrix orders the clusters by their majority class and names each row
# after it (Schlachter 2020). A class that is the majority of no cluster has no row of its own:
# for purity, and for anyone who reads the clusters, it does not exist.

# %% tags=["nbval-ignore-output"]
table = metrics.majority_order(run.labels, baseline.assignment)
found = [run.class_names[i] for i in table.majority]
missing = [name for name in run.class_names if name not in found]
column_names = [run.class_names[i] for i in table.classes]
confusion = figures.confusion(table.counts, found, column_names, "k-means on raw pixels")
run.figure(
    confusion,
    "confusion_pixels",
    "Raw pixels and k-means: clusters (rows, named after their majority class) against classes. "
    + (
        f"No cluster has the majority of: {', '.join(missing)}."
        if missing
        else "Every class is the majority of some cluster."
    ),
    f"Sorted confusion matrix of raw-pixel k-means: {len(set(found))} of {len(run.class_names)} "
    "classes are the majority of a cluster, and "
    f"{clusters.largest_confusion(table.counts, found, column_names)}.",
)
run.fact("classes_found_pixels", len(set(found)))

# %% [markdown]
# ## The same on principal components
#
# Fifty components keep most of the variance and are what the autoencoder's latents are reduced to
# in study `mnist-cae`, so this row tells what PCA alone is worth.

# %% tags=["nbval-ignore-output"]
components, ratio = spaces.pca(pixels, 50)
run.fact("pca50_explained_variance_pixels", float(ratio.sum()))
reduced = run.kmeans(components)
run.score("pixels", "pca50", "kmeans", reduced.assignment, components).to_frame().T.round(4)

# %% tags=["nbval-ignore-output"]
run.finish()
