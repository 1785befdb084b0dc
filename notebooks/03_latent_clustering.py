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
# # 3. Clustering the latents
#
# The autoencoder's latents are projected into the space in which the paper clusters (for
# `mnist-cae`: PCA to 50 components), clustered with k-means, and scored. The maps are t-SNE
# (van der Maaten & Hinton 2008): good for seeing neighbourhoods, not to be read for distances
# between groups or for their sizes.

# %% tags=["parameters"]
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the network and of k-means
run_dir = None  # where results go; None: runs/interactive
n_components = None  # None: the study's own
n_clusters = None  # None: the study's own

# %% tags=["nbval-ignore-output"]
import numpy as np

from utils import experiment, figures, metrics

figures.use_style()
run = experiment.open_run(
    "03_latent_clustering",
    study,
    profile,
    seed,
    run_dir,
    n_components=n_components,
    n_clusters=n_clusters,
)

# %% [markdown]
# ## From latents to clusters

# %% tags=["nbval-ignore-output"]
projected, explained = run.to_study_space(run.latents())
run.fact("pca_explained_variance", explained)
print(f"{explained:.1%} of the latents' variance is kept")

# %%
clustering = run.kmeans(projected)
print(
    f"{projected.shape[0]:,} × {projected.shape[1]} → {metrics.k_found(clustering.assignment)} "
    "clusters"
)

# %% [markdown]
# ## Metrics
#
# *With labels* (for scoring only): adjusted Rand index and adjusted mutual information are 0 for
# a random assignment and 1 for a perfect one; normalised mutual information is not corrected for
# chance; purity counts each cluster's majority class and never falls when clusters are split; ACC
# allows each class one cluster only, matched by the Hungarian algorithm.
#
# *Without labels*: silhouette, Davies-Bouldin and Calinski-Harabasz measure how compact and
# separate the clusters are in the space that was clustered. They say nothing across spaces.

# %% tags=["nbval-ignore-output"]
space = run.study.space.label
run.score("autoencoder", space, "kmeans", clustering.assignment, projected).to_frame().round(4)

# %% [markdown]
# ## Which classes were found
#
# Clusters matched one to one with classes so that the diagonal is as heavy as it can be.

# %% tags=["nbval-ignore-output"]
match = metrics.hungarian_match(run.labels, clustering.assignment)
table = metrics.hungarian_order(run.labels, clustering.assignment)
column_names = [run.class_names[i] for i in table.classes]
run.figure(
    figures.confusion(
        table.counts,
        [run.class_names[match[c]] if c in match else "unmatched" for c in table.clusters],
        column_names,
        "k-means on the latents",
    ),
    "confusion_latent",
    "Autoencoder latents and k-means: clusters (rows, matched one to one with classes by the "
    "Hungarian algorithm) against classes.",
    "Matched confusion matrix of k-means on the autoencoder's latents.",
)

# %% tags=["nbval-ignore-output"]
table = metrics.majority_order(run.labels, clustering.assignment)
found = [run.class_names[i] for i in table.majority]
missing = [name for name in run.class_names if name not in found]
run.figure(
    figures.confusion(table.counts, found, column_names, "k-means on the latents"),
    "confusion_latent_majority",
    "The same clusters, sorted by their majority class. "
    + (
        f"No cluster has the majority of: {', '.join(missing)}."
        if missing
        else "Every class is the majority of some cluster."
    ),
    "Confusion matrix of k-means on the latents, sorted by majority class.",
)
run.fact("classes_found_autoencoder", len(set(found)))

# %% [markdown]
# ## Maps
#
# One t-SNE of a random sample of the vectors, drawn once with a fixed seed and without regard to
# labels. The k-means centres are mapped together with the images, so their places are t-SNE's own.

# %% tags=["nbval-ignore-output"]
rows = run.map_rows()
map_xy = run.tsne("latents", np.vstack([projected[rows], clustering.centres]))
xy, centres_xy = map_xy[: len(rows)], map_xy[len(rows) :]
clusters = clustering.assignment[rows]
cluster_names = [str(c) for c in range(len(clustering.centres))]

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_by_class(xy, run.labels[rows], run.class_names, "True labels", "class"),
    "tsne_label",
    f"t-SNE of {len(rows):,} latent vectors, coloured by true label.",
    "Scatter plot of the t-SNE map, a colour per class.",
)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_by_class(xy, clusters, cluster_names, "k-means clusters", "cluster"),
    "tsne_cluster",
    f"The same map, coloured by k-means cluster; {run.study.kmeans.n_clusters} clusters.",
    "Scatter plot of the t-SNE map, a colour per cluster.",
)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_density(xy),
    "tsne_density",
    "Density of the points in the map. Gaps between dense regions are where clusters could part.",
    "Density plot of the t-SNE map.",
)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_centroids(xy, clusters, cluster_names, centres_xy),
    "tsne_centroids",
    "The same map with the k-means centres overlaid, mapped together with the images.",
    "Scatter plot of the t-SNE map with a marked centre for each cluster.",
)

# %% tags=["nbval-ignore-output"]
run.finish()
