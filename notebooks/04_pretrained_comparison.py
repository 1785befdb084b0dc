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
# # 4. Frozen pre-trained networks beside the autoencoder
#
# A network that was trained on ImageNet and never saw these images gives another representation
# for nothing. Here it is clustered with the same k-means as the autoencoder's latents and as the
# raw pixels, on the same images.
#
# Each representation is a space of its own, and internal indices (silhouette, Davies-Bouldin,
# Calinski-Harabasz) are relative to the distances of their space: across spaces they **cannot** be
# compared. Metrics that use labels can be, because they compare assignments, not distances. So can
# internal indices of different clusterings in *one common* space, which is measured here too.
#
# If the weights of the network asked for cannot be had, EfficientNet-Lite0 (Tan & Le 2019; weights
# carried by a Python package) stands in, and the report says so. Random weights are only ever used
# under their own name, `resnet50_random`, as a control: what they give is owed to the architecture.

# %% tags=["parameters"]
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the autoencoder and of k-means
run_dir = None  # where results go; None: runs/interactive
backbone = None  # None: the study's own; "resnet50", "efficientnet_lite0", "timm:<model>"
backbone_images = None  # None: the profile's; how many images, from the first

# %% tags=["nbval-ignore-output"]
import pandas as pd
from IPython.display import display

from utils import figures, metrics
from utils.runs import study as study_module

figures.use_style()
run = study_module.open_run(
    "04_pretrained_comparison",
    study,
    profile,
    seed,
    run_dir,
    backbone=backbone,
    backbone_images=backbone_images,
)

# %% [markdown]
# ## Features of the frozen networks

# %% tags=["nbval-ignore-output"]
networks = run.backbones()
features = networks[0][1]
run.fact("backbone_images", len(features))
for network, _ in networks:
    run.fact(f"parameters_{network.name}", network.n_parameters)
run.table(
    pd.DataFrame(
        {
            "network": network.name,
            "weights": network.weights,
            "parameters": network.n_parameters,
            "input": f"{network.side}×{network.side}",
            "features": features.shape[1],
        }
        for network, features in networks
    ),
    "networks",
    "The frozen networks; parameters are counted without the classifier.",
)

# %%
network, features = networks[0]
print(
    f"{network.name}, {network.n_parameters:,} parameters, input {network.side}×{network.side}: "
    f"{features.shape[0]:,} × {features.shape[1]:,} features"
)

# %% [markdown]
# ## The same clusterer on all
#
# Each in its own space, as the papers do it.

# %% tags=["nbval-ignore-output"]
n = len(features)
latents, _ = run.to_study_space(run.latents(n))
spaces = {"pixels": run.pixels()[:n], "autoencoder": latents}
spaces |= {network.name: points for network, points in networks}
clusterings = {name: run.kmeans(points) for name, points in spaces.items()}
comparison = pd.DataFrame(
    run.score(
        name,
        run.study.space.label if name == "autoencoder" else "raw",
        "kmeans",
        clusterings[name].assignment,
        points,
    )
    for name, points in spaces.items()
)
comparison = comparison.rename_axis("representation / space / clusterer").reset_index()
run.table(
    comparison,
    "comparison",
    f"k-means on every representation of the same {n:,} images. Internal indices are each in their "
    "own space and must not be compared between the rows.",
).round(4)

# %% tags=["nbval-ignore-output"]
ranked = comparison.sort_values("ari", ascending=False)
first, last = ranked.iloc[0], ranked.iloc[-1]
run.figure(
    figures.comparison(
        comparison.set_index(comparison.columns[0]).drop(
            columns=["homogeneity", "completeness", "v_measure"]
        )
    ),
    "comparison",
    f"Representations of the same {n:,} images: metrics with labels, which can be compared, and "
    "internal indices, which cannot.",
    "Grouped bar charts of the metrics of every representation: the highest ARI is "
    f"{first['ari']:.3f} of {first.iloc[0]}, the lowest {last['ari']:.3f} of {last.iloc[0]}.",
)

# %% [markdown]
# ## Internal indices in every space
#
# The same clusterings, each measured in the space of every representation. Within one column of the
# figure (one space) values can be compared; the space of the raw pixels is nobody's own and serves
# as the common one. Each clustering tends to look best at home.

# %% tags=["nbval-ignore-output"]
assignments = {name: clustering.assignment for name, clustering in clusterings.items()}
by_space = run.internal_by_space(assignments, spaces)
run.table(
    by_space,
    "internal_by_space",
    "Internal indices of every clustering in every space. Only rows measured in the same space can "
    "be compared.",
).round(4)

# %% tags=["nbval-ignore-output"]
in_pixels = by_space[by_space["measured_in"] == "pixels"].sort_values("silhouette")
run.figure(
    figures.internal_by_space(by_space),
    "internal_by_space",
    "Silhouette (more is better) and Davies-Bouldin index (less is better) of every clustering "
    "(rows), measured in every space (columns). Compare within a column only.",
    "Two heat maps of internal indices, clusterings against spaces; in the space of the pixels the "
    f"clusters of {in_pixels['clusters_of'].iloc[-1]} have the highest silhouette, "
    f"{in_pixels['silhouette'].iloc[-1]:.3f}.",
)

# %% [markdown]
# ## Maps of the networks' features
#
# Drawn of every network that was trained; the control with random weights is left out.

# %% tags=["nbval-ignore-output"]
rows = run.map_rows(n)
for network, features in networks:
    if network.name == "resnet50_random":
        continue
    name = network.name.replace(":", "-")
    xy = run.tsne(name, features[rows])
    clusters = assignments[network.name][rows]
    views = [
        ("label", "true label", run.labels[rows], run.class_names, "True labels", "class"),
        (
            "cluster",
            "k-means cluster",
            clusters,
            [str(c) for c in range(run.study.kmeans.n_clusters)],
            "k-means clusters",
            "cluster",
        ),
    ]
    for suffix, colouring, groups, names, title, kind in views:
        display(
            run.figure(
                figures.map_by_class(xy, groups, names, title, kind),
                f"tsne_{name}_{suffix}",
                f"t-SNE of the {network.name} features of {len(rows):,} images, coloured by "
                f"{colouring}.",
                f"Scatter plot of the t-SNE map of {network.name} features, a colour per {kind}: "
                "of an image's ten nearest neighbours in the map "
                f"{metrics.neighbour_agreement(xy, groups):.0%} have its {kind}.",
            )
        )

# %% tags=["nbval-ignore-output"]
run.finish()
