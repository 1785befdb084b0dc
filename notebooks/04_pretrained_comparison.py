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
# without any training. Here the same k-means clusters its features, the autoencoder's latents and
# the raw pixels of the same images.
#
# Internal indices (silhouette, Davies-Bouldin, Calinski-Harabasz) are relative to the distances of
# their space and **cannot** be compared across spaces. Metrics that use labels can be compared,
# because they depend on assignments alone. So can internal indices of different clusterings in
# *one common* space, which are measured here too.
#
# If the weights of a network are not available, EfficientNet-Lite0 (Tan & Le 2019; its weights come
# with a Python package) is used instead, and the report says so. `resnet50_random` is a control
# with random weights: it shows what the architecture alone contributes. The weights of the others
# were trained with the labels of ImageNet, not with those of these images.

# %% tags=["parameters"]
# Defaults. A run of the report adds a cell below with its own values, which replace these.
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the autoencoder and, unless the study fixes one, of k-means
run_dir = None  # where results go; None: runs/interactive
backbone = None  # None: the study's own; "resnet50", "efficientnet_lite0", "timm:<model>"
backbone_images = None  # None: the profile's; how many images, from the first

# %% tags=["nbval-ignore-output"]
import pandas as pd
from IPython.display import display

from utils import clustering, figures, metrics, runs, spaces
from utils.representations import training
from utils.runs import sweeps

changes = {"backbone": backbone, "backbone_images": backbone_images}
run = runs.open_study("04_pretrained_comparison", study, profile, seed, run_dir, **changes)

# %%
protocol, space = run.study.kmeans, run.study.space
print(run)
print(f"space of the latents: {space}")
print(f"k-means: {protocol}")

# %% [markdown]
# ## Features of the frozen networks

# %% tags=["nbval-ignore-output"]
networks = run.backbones()
n = len(networks[0][1])
run.record.fact("backbone_images", n)

# %%
rows = []
for network, vectors in networks:
    run.record.fact(f"parameters_{network.name}", network.n_parameters)
    run.result({f"parameters_{network.name}": network.n_parameters})
    rows.append(
        {
            "network": network.name,
            "weights": network.weights,
            "parameters": network.n_parameters,
            "input": f"{network.side}×{network.side}",
            "features": vectors.shape[1],
        }
    )
caption = "The frozen networks; parameters are counted without the classifier."
run.record.table(pd.DataFrame(rows), "networks", caption)

# %% [markdown]
# ## The same clusterer on all
#
# Each representation in its own space, as in the papers.

# %% tags=["nbval-ignore-output"]
model, _ = run.autoencoder()
latents = training.encode(model, run.images[:n], run.study.images.resize)
if space.name == "pca":
    latents, _ = spaces.pca(latents, n_components=space.n_components)
elif space.name == "umap":
    latents = spaces.umap_reference(
        latents,
        n_components=space.n_components,
        n_neighbors=space.n_neighbors,
        min_dist=space.min_dist,
        seed=space.random_state,
    )
points = {"pixels": run.pixels()[:n], "autoencoder": latents}
points |= {network.name: vectors for network, vectors in networks}

# %%
assignments = {
    name: clustering.kmeans(
        features, protocol.n_clusters, protocol.n_init, protocol.random_state
    ).assignment
    for name, features in points.items()
}
pd.DataFrame(
    {"dimensions": points[name].shape[1], "clusters": metrics.k_found(found)}
    for name, found in assignments.items()
).set_index(pd.Index(assignments))

# %% tags=["nbval-ignore-output"]
scored = []
for representation, found in assignments.items():
    where = space.label if representation == "autoencoder" else "raw"
    scores = metrics.score(found, run.labels[:n], points[representation])
    run.result(scores, representation, where, "kmeans")
    row = run.record.score(representation, where, "kmeans", found, scores)
    scored.append(row.rename(figures.name_of(representation, where, "kmeans")))
comparison = pd.DataFrame(scored).rename_axis("representation, space, clusterer").reset_index()
run.record.table(
    comparison,
    "comparison",
    f"k-means on every representation of the same {n:,} images. Internal indices are each in their "
    "own space and must not be compared between the rows.",
).round(4)

# %% [markdown]
# ## What depends on the seed of k-means
#
# The features of a frozen network never change. Only the seed of k-means makes a difference.

# %% tags=["nbval-ignore-output"]
seeds = range(run.profile.untrained_seeds)
spread = {}
for network, vectors in networks:
    starts = sweeps.kmeans_by_seed(
        vectors, run.labels[:n], protocol.n_clusters, protocol.n_init, seeds
    )
    by_seed = run.record.starts(
        network.name, "raw", "kmeans", starts, are_runs=run.kmeans_seed_is_open
    )
    spread[network.name] = by_seed.drop(columns="kmeans_seed").std()
    ari = by_seed["ari"]
    title = figures.name_of(network.name)
    print(f"Result: {title}: ARI from {ari.min():.4f} to {ari.max():.4f}")
pd.DataFrame(spread).round(4)

# %%
drawn = comparison.set_index("representation, space, clusterer")
compared = figures.comparison(drawn.drop(columns=["homogeneity", "completeness", "v_measure"]))
run.record.figure(compared, "comparison")

# %% [markdown]
# ## Internal indices in every space
#
# The same clusterings, each measured in the space of every representation. Values within one column
# of the figure (one space) can be compared. No representation was optimised for the space of the
# raw pixels, which serves as the common one. A clustering tends to look best in its own space.

# %% tags=["nbval-ignore-output"]
by_space = sweeps.internal_by_space(assignments, points)
space_caption = "Internal indices of every clustering in every space. Compare within a space only."
in_pixels = by_space[by_space["measured_in"] == "pixels"].set_index("clusters_of")["silhouette"]
best = figures.name_of(in_pixels.idxmax())
print(f"Result: in the space of the pixels the clusters of {best} have the highest silhouette,")
print(f"{in_pixels.max():.4f}")
run.record.table(by_space, "internal_by_space", space_caption).round(4)

# %%
run.record.figure(figures.internal_by_space(by_space), "internal_by_space")

# %% [markdown]
# ## Maps of the networks' features
#
# One t-SNE map for every pre-trained network; the control with random weights is left out.

# %%
sample = run.map_rows(n)
cluster_names = figures.cluster_names(protocol.n_clusters)
for name in assignments:
    if name in ("pixels", "autoencoder", "resnet50_random"):
        continue
    stem = name.replace(":", "-")
    xy = run.stored(f"tsne-{stem}", spaces.tsne, points[name][sample], seed=seed)
    labels, clusters = run.labels[sample], assignments[name][sample]
    words = figures.name_of(name)
    by_class = figures.map_by_class(xy, labels, run.class_names, f"{words}, true labels", "class")
    by_cluster = figures.map_by_class(xy, clusters, cluster_names, f"{words}, k-means", "cluster")
    display(run.record.figure(by_class, f"tsne_{stem}_label"))
    display(run.record.figure(by_cluster, f"tsne_{stem}_cluster"))

# %%
run.record.finish()
