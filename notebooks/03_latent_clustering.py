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
import pandas as pd
from IPython.display import display

from utils import clustering as clusterers
from utils import figures, metrics
from utils.figures import atlas
from utils.figures import clusters as clusters_module
from utils.runs import study as study_module

figures.use_style()
run = study_module.open_run(
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
# ## What depends on the seed of k-means
#
# A result depends on the seed twice: through the network and through the starts of k-means. Here
# the network stays as it is and only the seed of k-means changes; the spread over networks is in
# the report, which has the other seeds.

# %% tags=["nbval-ignore-output"]
repeats = run.kmeans_by_seed(projected)
for name in study_module.SPREAD_METRICS:
    run.fact(f"kmeans_sd_{name}", float(repeats[name].std()))
run.table(
    repeats, "kmeans_seeds", "The same latents, clustered by k-means from different seeds."
).round(4)

# %% [markdown]
# ## Variants of the network
#
# The variants that notebook 2 trained, clustered and scored in the same way.

# %% tags=["nbval-ignore-output"]
variant_scores = {}
for variant in run.variants:
    points, _ = run.to_study_space(run.latents(variant=variant))
    name = f"autoencoder-{variant.name}"
    variant_scores[name] = run.score(name, space, "kmeans", run.kmeans(points).assignment, points)
pd.DataFrame(variant_scores).round(4)

# %% [markdown]
# ## Which classes were found
#
# Clusters matched one to one with classes so that the diagonal is as heavy as it can be.

# %% tags=["nbval-ignore-output"]
match = metrics.hungarian_match(run.labels, clustering.assignment)
table = metrics.hungarian_order(run.labels, clustering.assignment)
column_names = [run.class_names[i] for i in table.classes]
row_names = [run.class_names[match[c]] if c in match else "unmatched" for c in table.clusters]
run.figure(
    figures.confusion(table.counts, row_names, column_names, "k-means on the latents"),
    "confusion_latent",
    "Autoencoder latents and k-means: clusters (rows, matched one to one with classes by the "
    "Hungarian algorithm) against classes.",
    "Matched confusion matrix of k-means on the autoencoder's latents; "
    f"{clusters_module.largest_confusion(table.counts, row_names, column_names)}.",
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
    "Confusion matrix of k-means on the latents, sorted by majority class; "
    f"{len(set(found))} of {len(run.class_names)} classes are the majority of a cluster.",
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

# %% [markdown]
# Whether the map shows boundaries can be put into a number: of an image's ten nearest neighbours in
# the map, the share that is in its cluster, and the share that is of its class.

# %% tags=["nbval-ignore-output"]
same_cluster = metrics.neighbour_agreement(xy, clusters)
same_class = metrics.neighbour_agreement(xy, run.labels[rows])
run.fact("map_neighbours_same_cluster", same_cluster)
run.fact("map_neighbours_same_class", same_class)
print(f"neighbours in the map: {same_cluster:.1%} in the same cluster, {same_class:.1%} same class")

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_by_class(xy, run.labels[rows], run.class_names, "True labels", "class"),
    "tsne_label",
    f"t-SNE of {len(rows):,} latent vectors, coloured by true label.",
    "Scatter plot of the t-SNE map, a colour per class: of an image's ten nearest neighbours in "
    f"the map {same_class:.0%} are of its class.",
)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_by_class(xy, clusters, cluster_names, "k-means clusters", "cluster"),
    "tsne_cluster",
    f"The same map, coloured by k-means cluster; {run.study.kmeans.n_clusters} clusters.",
    "Scatter plot of the t-SNE map, a colour per cluster: of an image's ten nearest neighbours in "
    f"the map {same_cluster:.0%} are in its cluster.",
)

# %% [markdown]
# The report's page has this map with the images themselves: what it shows of each is its class, its
# cluster, and by how much its centre is nearer than the next (0: half way between two, 1: on one).

# %% tags=["nbval-ignore-output"]
shown = run.atlas(rows, xy, clusters, atlas.margins(projected[rows], clustering.centres))
shown.groupby("wrong")["confidence"].describe().round(3)

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.map_density(xy),
    "tsne_density",
    "Density of the points in the map. Gaps between dense regions are where clusters could part.",
    f"Density plot of the t-SNE map of {len(rows):,} images.",
)

# %% tags=["nbval-ignore-output"]
sizes = np.bincount(clustering.assignment)
run.figure(
    figures.map_centroids(xy, clusters, cluster_names, centres_xy),
    "tsne_centroids",
    "The same map with the k-means centres overlaid, mapped together with the images.",
    "Scatter plot of the t-SNE map with a marked centre for each cluster; clusters have from "
    f"{sizes.min():,} to {sizes.max():,} images.",
)

# %% [markdown]
# ## The first three dimensions
#
# Of all dimensions of the clustered space only three can be seen at once; groups that overlap here
# may part in the others. In a space of thousands of dimensions three say nothing, and a space of
# one or two has no third: there the view is left out.

# %% tags=["nbval-ignore-output"]
if 3 <= projected.shape[1] <= 100:
    share = projected[:, :3].var(axis=0).sum() / projected.var(axis=0).sum()
    display(
        run.figure(
            figures.view_3d(
                projected[rows], run.labels[rows], run.class_names, "True labels", "class"
            ),
            "dimensions_label",
            f"The first three dimensions of the clustered space for {len(rows):,} images, coloured "
            "by true label.",
            "Three-dimensional scatter plot, a colour per class; the three dimensions have "
            f"{share:.0%} of the variance.",
        )
    )
    display(
        run.figure(
            figures.view_3d(
                projected[rows],
                clusters,
                cluster_names,
                "k-means centres",
                "cluster",
                clustering.centres,
            ),
            "dimensions_centres",
            "The same view with the k-means centres.",
            f"Three-dimensional scatter plot with a marked centre for each of the {len(sizes)} "
            "clusters.",
        )
    )

# %% [markdown]
# ## DBSCAN
#
# Where the paper also clusters by density (DBSCAN: Ester, Kriegel, Sander & Xu 1996), it is run
# with the paper's radius and with the radius at the knee of the k-distance curve, which needs no
# label. Points in no dense region are noise. They are scored twice: as a cluster of their own, and
# left out, with the share that is left out beside it.

# %% tags=["nbval-ignore-output"]
if run.study.dbscan is None:
    print("this study does not use DBSCAN")
else:
    published = run.study.dbscan
    by_density = run.dbscan(projected, published.eps)
    run.score("autoencoder", space, "dbscan", by_density, projected)
    curve = clusterers.k_distances(projected, published.min_samples)
    turn = clusterers.knee(curve)
    run.score("autoencoder", space, "dbscan_knee", run.dbscan(projected, curve[turn]), projected)
    run.fact("dbscan_clusters", metrics.k_found(by_density))
    run.fact("dbscan_noise", metrics.noise_fraction(by_density))
    run.fact("dbscan_knee_eps", float(curve[turn]))

# %% tags=["nbval-ignore-output"]
if run.study.dbscan is not None:
    noise = metrics.noise_fraction(by_density)
    found = f"{metrics.k_found(by_density)} clusters, {noise:.1%} noise"
    display(
        run.figure(
            figures.map_by_class(
                xy,
                by_density[rows],
                [str(c) for c in range(by_density.max() + 1)],
                f"DBSCAN, eps {published.eps:g}",
                "cluster",
            ),
            "tsne_dbscan",
            f"The same map, coloured by DBSCAN cluster with the published settings: {found}.",
            f"Scatter plot of the t-SNE map, a colour per DBSCAN cluster, noise in grey: {found}.",
        )
    )
    display(
        run.figure(
            figures.k_distances(curve, turn, published.eps, published.min_samples),
            "dbscan_k_distances",
            f"Distances to neighbour {published.min_samples} in ascending order. The knee proposes "
            f"eps {curve[turn]:.2f}; the paper has {published.eps:g}.",
            f"Curve of neighbour distances that rises from {curve[0]:.2f} to {curve[-1]:.2f}, with "
            f"its knee at {curve[turn]:.2f} and the published radius {published.eps:g}.",
        )
    )
    radii = np.unique(np.append(np.linspace(curve[0], curve[-1], 11), published.eps))
    strip = run.dbscan_by_eps(projected, radii)
    caption = "DBSCAN at growing radii; noise counted in both ways."
    most = strip.loc[strip["k_found"].idxmax()]
    display(run.table(strip, "dbscan_by_eps", caption).round(4))
    display(
        run.figure(
            figures.eps_strip(strip),
            "dbscan_strip",
            "DBSCAN as its radius grows: clusters found, share of noise, and ARI with noise as a "
            "cluster and without it.",
            f"Three panels of curves over eps: at most {most['k_found']:.0f} clusters are found, "
            f"at eps {most['eps']:.2f}, with {most['noise_fraction']:.0%} noise.",
        )
    )

# %% tags=["nbval-ignore-output"]
run.finish()
