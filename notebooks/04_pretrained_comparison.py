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
# # 4. A frozen pre-trained network beside the autoencoder
#
# A network that was trained on ImageNet and never saw these images gives another representation
# for nothing. Here it is clustered with the same k-means as the autoencoder's latents, on the same
# images.
#
# The two live in different spaces, so their internal indices (silhouette, Davies-Bouldin,
# Calinski-Harabasz) **cannot** be compared: each is relative to the distances of its own space.
# Metrics that use labels can be, because they compare assignments, not distances.
#
# If the weights of the network asked for cannot be had, EfficientNet-Lite0 (Tan & Le 2019; weights
# carried by a Python package) stands in, and the report says so. Random weights are only ever used
# under their own name, `resnet50_random`, as a control.

# %% tags=["parameters"]
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the autoencoder and of k-means
run_dir = None  # where results go; None: runs/interactive
backbone = None  # None: the study's own; "resnet50", "efficientnet_lite0", "timm:<model>"
backbone_images = None  # None: the profile's; how many images, from the first

# %% tags=["nbval-ignore-output"]
import pandas as pd

from utils import experiment, figures

figures.use_style()
run = experiment.open_run(
    "04_pretrained_comparison",
    study,
    profile,
    seed,
    run_dir,
    backbone=backbone,
    backbone_images=backbone_images,
)

# %% [markdown]
# ## Features of the frozen network

# %% tags=["nbval-ignore-output"]
network, features = run.backbone()
run.fact("backbone_requested", network.requested)
run.fact("backbone", network.name)
run.fact("backbone_weights", network.weights)
run.fact("backbone_parameters", network.n_parameters)

# %%
run.fact("backbone_images", len(features))
print(
    f"{network.name}, {network.n_parameters:,} parameters, input {network.side}×{network.side}: "
    f"{features.shape[0]:,} × {features.shape[1]:,} features"
)

# %% [markdown]
# ## The same clusterer on both

# %% tags=["nbval-ignore-output"]
n = len(features)
latents, _ = run.to_study_space(run.latents(n))
by_network = run.kmeans(features)
by_autoencoder = run.kmeans(latents)
comparison = (
    pd.DataFrame(
        [
            run.score(network.name, "raw", "kmeans", by_network.assignment, features),
            run.score(
                "autoencoder", run.study.space.label, "kmeans", by_autoencoder.assignment, latents
            ),
        ]
    )
    .rename_axis("representation / space / clusterer")
    .reset_index()
)
run.table(
    comparison,
    "comparison",
    f"Pre-trained features and autoencoder latents, k-means on the same {n:,} images. Internal "
    "indices are each in their own space and must not be compared between the rows.",
).round(4)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.comparison(
        comparison.set_index(comparison.columns[0]).drop(
            columns=["homogeneity", "completeness", "v_measure"]
        )
    ),
    "comparison",
    f"{network.name} and the autoencoder on the same {n:,} images: metrics with labels, which can "
    "be compared, and internal indices, which cannot.",
    "Grouped bar charts of the metrics of both representations.",
)

# %% [markdown]
# ## Map of the network's features

# %% tags=["nbval-ignore-output"]
rows = run.map_rows(n)
xy = run.tsne(network.name.replace(":", "-"), features[rows])
run.figure(
    figures.map_by_class(xy, run.labels[rows], run.class_names, "True labels", "class"),
    "tsne_pretrained",
    f"t-SNE of the {network.name} features of {len(rows):,} images, coloured by true label.",
    "Scatter plot of the t-SNE map of the pre-trained features, a colour per class.",
)

# %% tags=["nbval-ignore-output"]
clusters = by_network.assignment[rows]
cluster_names = [str(c) for c in range(len(by_network.centres))]
run.figure(
    figures.map_by_class(
        xy,
        clusters,
        [str(c) for c in range(len(by_network.centres))],
        "k-means clusters",
        "cluster",
    ),
    "tsne_pretrained_cluster",
    f"The same map of {network.name} features, coloured by k-means cluster.",
    "Scatter plot of the t-SNE map of the pre-trained features, a colour per cluster.",
)

# %% tags=["nbval-ignore-output"]
run.finish()
