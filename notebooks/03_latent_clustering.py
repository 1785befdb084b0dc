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
# `mnist-cae`: PCA to 50 components, for `n2d`: UMAP to 10 dimensions), clustered with k-means, and
# scored; a Gaussian mixture or DBSCAN follows where the paper uses it. The maps are t-SNE
# (van der Maaten & Hinton 2008): they show neighbourhoods, but neither the distances between groups
# nor the sizes of groups mean anything.

# %% tags=["parameters"]
# Defaults. A run of the report adds a cell below with its own values, which replace these.
study = "mnist-cae"  # a file in config/studies
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of the network and, unless the study fixes one, of k-means
run_dir = None  # where results go; None: runs/interactive
n_components = None  # None: the study's own
n_clusters = None  # None: the study's own

# %% tags=["nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import display

from utils import clustering, figures, metrics, runs, spaces
from utils.figures import atlas
from utils.representations import training
from utils.runs import sweeps

changes = {"n_components": n_components, "n_clusters": n_clusters}
run = runs.open_study("03_latent_clustering", study, profile, seed, run_dir, **changes)

# %%
protocol, space = run.study.kmeans, run.study.space
print(run)
print(f"space: {space}")
print(f"k-means: {protocol}")

# %% [markdown]
# ## From latents to clusters
#
# The network is that of notebook 2, which stored it. A study whose space is `raw` clusters the
# latents as they are. UMAP (McInnes, Healy & Melville 2018) is the authors' own `umap-learn`.


# %% tags=["nbval-ignore-output"]
def project(vectors, where=space, network="autoencoder"):
    """Return the vectors in a space, and the share of the variance that is kept: None of UMAP."""
    if where.name == "raw":
        return vectors, 1.0
    if where.name == "umap":
        layout = run.stored(
            f"{where.label}-{network}",
            spaces.umap_reference,
            vectors,
            n_components=where.n_components,
            n_neighbors=where.n_neighbors,
            min_dist=where.min_dist,
            seed=where.random_state,
        )
        return layout, None
    scores, ratio = spaces.pca(vectors, n_components=where.n_components)
    return scores, float(ratio.sum())


model, _ = run.autoencoder()
latents = training.encode(model, run.images, run.study.images.resize)
points, explained = project(latents)
if explained is not None:
    run.record.fact("pca_explained_variance", explained)
    print(f"{explained:.1%} of the latents' variance is kept")

# %%
result = clustering.kmeans(
    points, n_clusters=protocol.n_clusters, n_init=protocol.n_init, seed=protocol.random_state
)
assignment = result.assignment
print(f"{latents.shape} latents → {points.shape} points → {metrics.k_found(assignment)} clusters")

# %% [markdown]
# ## Metrics
#
# *With labels*: the adjusted Rand index (ARI) and adjusted mutual information (AMI) are 0 for a
# random assignment and 1 for a perfect one; normalised mutual information (NMI) is not corrected
# for chance; purity counts each cluster's majority class and never falls when clusters are split;
# ACC allows each class one cluster only, matched by the Hungarian algorithm.
#
# *Without labels*: silhouette, Davies-Bouldin and Calinski-Harabasz measure how compact and
# separate the clusters are in the space that was clustered. They cannot be compared across spaces.

# %% tags=["nbval-ignore-output"]
names = ("autoencoder", space.label, "kmeans")
scores = metrics.score(assignment, run.labels, points)
run.result(scores, *names)
majorities = np.unique(metrics.majority_order(run.labels, assignment).majority)
run.record.fact("classes_found_autoencoder", len(majorities))
print(f"Result: {len(majorities)} of {len(run.class_names)} classes are the majority of a cluster")
run.record.score(*names, assignment, scores).to_frame().round(4)

# %% [markdown]
# ## What depends on the seed of k-means
#
# A result depends on the seed twice: through the network and through the starts of k-means. Here
# only the seed of k-means changes. The report splits the variance into these two parts.

# %% tags=["nbval-ignore-output"]
seeds = range(run.profile.clustering_seeds)
starts = sweeps.kmeans_by_seed(points, run.labels, protocol.n_clusters, protocol.n_init, seeds)
by_seed = run.record.starts(*names, starts)
print(f"Result: ARI from {by_seed['ari'].min():.4f} to {by_seed['ari'].max():.4f}")
by_seed.round(4)

# %% [markdown]
# ## Variants of the network
#
# The variants that notebook 2 trained, clustered and scored in the same way.

# %% tags=["nbval-ignore-output"]
variant_scores = {}
for variant in run.variants:
    network, _ = run.autoencoder(variant)
    vectors, _ = project(
        training.encode(network, run.images, run.study.images.resize), network=variant.name
    )
    found = clustering.kmeans(
        vectors, protocol.n_clusters, protocol.n_init, protocol.random_state
    ).assignment
    named = (f"autoencoder-{variant.name}", space.label, "kmeans")
    scored = metrics.score(found, run.labels, vectors)
    run.result(scored, *named)
    variant_scores[variant.name] = run.record.score(*named, found, scored)
pd.DataFrame(variant_scores).round(4)

# %% [markdown]
# ## Which classes were found
#
# First each cluster is matched with one class, so that the diagonal is as heavy as possible; then
# the same clusters are sorted by their majority class.

# %%
title = "k-means on the latents"
matched = figures.matched_confusion(run.labels, assignment, run.class_names, title)
run.record.figure(matched, "confusion_latent")

# %%
by_majority = figures.majority_confusion(run.labels, assignment, run.class_names, title)
run.record.figure(by_majority, "confusion_latent_majority")

# %% [markdown]
# ## Maps
#
# One t-SNE map of a random sample of the images, computed once with a fixed seed and without
# labels. The k-means centres are mapped together with the images.

# %%
rows = run.map_rows()
sample = np.vstack([points[rows], result.centres])
positions = run.stored("tsne-latents", spaces.tsne, sample, seed=seed)
xy, centres_xy = positions[: len(rows)], positions[len(rows) :]
labels, clusters = run.labels[rows], assignment[rows]
cluster_names = figures.cluster_names(len(result.centres))
print(f"{len(xy):,} images and {len(centres_xy)} centres on the map")

# %% [markdown]
# A number says whether the map shows boundaries: of an image's ten nearest neighbours in the map,
# the share in the same cluster, and the share of the same class. Clusters are called c0, c1, … and
# have colours of their own: cluster c3 is not class 3.

# %% tags=["nbval-ignore-output"]
same_cluster = metrics.neighbour_agreement(xy, clusters, k=10)
same_class = metrics.neighbour_agreement(xy, labels, k=10)
run.record.fact("map_neighbours_same_cluster", same_cluster)
run.record.fact("map_neighbours_same_class", same_class)
print(f"Result: {same_cluster:.1%} in the same cluster, {same_class:.1%} of the same class")

# %%
by_class = figures.map_by_class(xy, labels, run.class_names, "True labels", "class")
run.record.figure(by_class, "tsne_label")

# %%
by_cluster = figures.map_by_class(xy, clusters, cluster_names, "k-means clusters", "cluster")
run.record.figure(by_cluster, "tsne_cluster")

# %%
run.record.figure(figures.map_density(xy), "tsne_density")

# %%
with_centres = figures.map_centroids(xy, clusters, cluster_names, centres_xy)
run.record.figure(with_centres, "tsne_centroids")

# %% [markdown]
# The report's page has this map with the images themselves. It shows the class and the cluster of
# each image, and how much nearer its centre is than the next (0: half way between two, 1: on one).

# %% tags=["nbval-ignore-output"]
few = atlas.few(len(rows))
margins = atlas.margins(points[rows], result.centres)
shown = atlas.table(
    run.images[rows[few]], xy[few], labels[few], run.class_names, clusters[few], margins[few]
)
run.record.atlas(shown).groupby("wrong")["confidence"].describe().round(3)

# %% [markdown]
# ## The first three dimensions
#
# Only three dimensions of the clustered space can be seen at once; groups that overlap here may be
# separate in the others. A dimension that is the same for all images is passed over. Of thousands
# of dimensions three say nothing, and a space of one or two has no third: there the view is left
# out.

# %%
if 3 <= points.shape[1] <= 100:
    drawn = points[rows]
    view = figures.view_3d(drawn, labels, run.class_names, "True labels", "class")
    display(run.record.figure(view, "dimensions_label"))
    centred = figures.view_3d(
        drawn, clusters, cluster_names, "k-means centres", "cluster", result.centres
    )
    display(run.record.figure(centred, "dimensions_centres"))

# %% [markdown]
# ## Gaussian mixture
#
# Where the paper fits a mixture of Gaussians (expectation-maximisation: Dempster, Laird & Rubin
# 1977), it is scikit-learn's with full covariances and, but for the seed, its defaults. It clusters
# the study's space and further spaces of the same latents, such as a layout with other neighbours.

# %%
mixture = run.study.gmm
print("This study does not use a mixture." if mixture is None else f"mixture: {mixture}")

# %% tags=["nbval-ignore-output"]
if mixture is not None:
    mixture_scores = {}
    for where in (space, *mixture.also_in):
        located = points if where is space else project(latents, where)[0]
        mixed = clustering.gaussian_mixture(
            located, n_components=mixture.n_components, seed=mixture.random_state
        )
        placed = ("autoencoder", where.label, "gmm")
        mixed_scores = metrics.score(mixed.assignment, run.labels, located)
        run.result(mixed_scores, *placed)
        mixture_scores[where.label] = run.record.score(*placed, mixed.assignment, mixed_scores)
        if where is space:
            in_mixture = mixed.assignment
    display(pd.DataFrame(mixture_scores).round(4))

# %% tags=["nbval-ignore-output"]
if mixture is not None:
    mixture_title = "Gaussian mixture on the latents"
    mixture_confusion = figures.majority_confusion(
        run.labels, in_mixture, run.class_names, mixture_title
    )
    mixture_names = figures.cluster_names(mixture.n_components)
    mixture_map = figures.map_by_class(
        xy, in_mixture[rows], mixture_names, mixture_title, "cluster"
    )
    display(run.record.figure(mixture_confusion, "confusion_mixture"))
    display(run.record.figure(mixture_map, "tsne_mixture"))

# %% [markdown]
# ## DBSCAN
#
# Where the paper also clusters by density (DBSCAN: Ester, Kriegel, Sander & Xu 1996), it is run
# with the paper's radius and with the radius at the knee of the k-distance curve, a rule without
# labels. Points in no dense region are noise. They are scored as a cluster of their own, and left
# out, with the share that is left out beside it.

# %%
dbscan = run.study.dbscan
print("This study does not use DBSCAN." if dbscan is None else f"DBSCAN: {dbscan}")

# %% tags=["nbval-ignore-output"]
if dbscan is not None:
    curve = clustering.k_distances(points, dbscan.min_samples)
    knee = clustering.knee(curve)
    by_density = {}
    for clusterer, eps in (("dbscan", dbscan.eps), ("dbscan_knee", curve[knee])):
        dense = clustering.dbscan(points, eps=eps, min_samples=dbscan.min_samples)
        dense_scores = metrics.score(dense, run.labels, points)
        run.record.score("autoencoder", space.label, clusterer, dense, dense_scores)
        found_k = {"k_found": metrics.k_found(dense)}
        run.result(found_k | dense_scores, "autoencoder", space.label, clusterer)
        by_density[clusterer] = dense
    run.record.fact("dbscan_clusters", metrics.k_found(by_density["dbscan"]))
    run.record.fact("dbscan_noise", metrics.noise_fraction(by_density["dbscan"]))
    run.record.fact("dbscan_knee_eps", float(curve[knee]))

# %% tags=["nbval-ignore-output"]
if dbscan is not None:
    published = by_density["dbscan"]
    dense_names = figures.cluster_names(published.max() + 1)
    dense_title = f"DBSCAN, eps {dbscan.eps:g}"
    dense_map = figures.map_by_class(xy, published[rows], dense_names, dense_title, "cluster")
    distances = figures.k_distances(curve, knee, dbscan.eps, dbscan.min_samples)
    display(run.record.figure(dense_map, "tsne_dbscan"))
    display(run.record.figure(distances, "dbscan_k_distances"))
    radii = np.unique(np.append(np.linspace(curve[0], curve[-1], 11), dbscan.eps))
    strip = sweeps.dbscan_by_eps(points, run.labels, radii, min_samples=dbscan.min_samples)
    strip_caption = "DBSCAN at growing radii, scored with noise as a cluster and without noise."
    display(run.record.table(strip, "dbscan_by_eps", strip_caption).round(4))
    display(run.record.figure(figures.eps_strip(strip), "dbscan_strip"))

# %%
run.record.finish()
