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
# # 6. Your own images
#
# The same pipeline on a folder of your pictures: features of a **frozen network**, **principal
# components**, **UMAP**, and a **clusterer** on the layout. `./run_all.sh images DIR` runs this
# notebook and makes a report of it; here it runs with an example, some digits as files.
#
# Nothing that is found depends on labels. If you have some (a folder for each class, or a CSV
# file), they are used at the end, to score what was found.

# %% tags=["parameters"]
study = "example"  # a plain name for the collection
profile = "images"  # there is only this one
seed = 0  # seed of the layout and of the clusterer
run_dir = None  # where results go; None: runs/interactive
folder = None  # the folder of your pictures; None: an example
labels = "folders"  # "folders", a CSV file with the columns path and label, or None
clusters = "auto"  # number of clusters, or "auto"
backbone = "efficientnet_lite0"  # the frozen network
clusterer = "gmm"  # "gmm", "hdbscan", or another one of utils.clusterers

# %% tags=["nbval-ignore-output"]
from IPython.display import display

from utils import figures, metrics
from utils.figures import clusters as clusters_module
from utils.runs import pictures

figures.use_style()
run = pictures.open_folder(
    folder or pictures.example_folder(),
    labels,
    backbone,
    clusters,
    clusterer,
    study,
    seed,
    run_dir,
)

# %% [markdown]
# ## What was read
#
# Pictures are turned as their camera says, cut to a square in the middle, and put on white where
# they are transparent. A file that cannot be used is left out, by name and with its reason.

# %%
run.fact("files found", len(run.found.names))
run.fact("pictures", len(run.usable))
run.fact("files left out", len(run.skipped))
print(f"{len(run.usable):,} pictures, {len(run.skipped):,} files left out")

# %% tags=["nbval-ignore-output"]
if len(run.skipped):
    display(run.table(pictures.first_lines(run.skipped), "skipped", "Files that were left out"))

# %% tags=["nbval-ignore-output"]
run.figure(
    figures.image_rows(run.some_pictures(), "Some of the pictures"),
    "pictures",
    "Pictures drawn at random, as the network sees them.",
    f"Rows of pictures drawn at random from {len(run.usable):,}.",
)

# %% [markdown]
# ## How many clusters
#
# If no number is given, k-means is tried with 2 to 20 clusters on the layout, and the number with
# the highest **silhouette** is taken: how much nearer a picture is to its own cluster than to the
# next one. This rule needs no label. It prefers few, well separated groups, so that it is a
# proposal: look at the curve, and give another number if the contact sheets say so. Clusterers
# that find the number themselves do not ask.

# %% tags=["nbval-ignore-output"]
model = run.model
run.fact("clusters", model.n_clusters_)
run.fact("clusters chosen without labels", bool(len(model.k_candidates_)))
if len(model.k_candidates_):
    display(
        run.figure(
            figures.k_curve(model.k_candidates_, model.k_silhouettes_, model.n_clusters_),
            "k_curve",
            "Silhouette of k-means on the layout by the number of clusters; the highest is taken.",
            f"A curve over 2 to {model.k_candidates_.max()} clusters, highest at "
            f"{model.n_clusters_}.",
        )
    )

# %% [markdown]
# ## The clusters

# %% tags=["nbval-ignore-output"]
run.table(
    run.cluster_table(),
    "clusters",
    "The clusters: number and share of the pictures, mean confidence, and the prototype, which "
    "is the picture nearest to the cluster's mean",
)

# %% tags=["nbval-ignore-output"]
cluster_names = [f"cluster {cluster}" for cluster in range(model.n_clusters_)]
rows = run.map_rows()
run.figure(
    figures.map_by_class(
        run.positions[rows],
        model.labels_[rows],
        cluster_names,
        "Clusters",
        "cluster",
        axes="UMAP" if run.is_laid_out else "component",
    ),
    "map_clusters",
    f"{len(rows):,} of {len(run.usable):,} pictures as dots: near ones look alike to the network. "
    "Distances between far groups mean nothing.",
    f"A map of {len(rows):,} pictures in {model.n_clusters_} colours, one for each cluster.",
)

# %% tags=["nbval-ignore-output"]
shown = run.atlas(rows, run.positions[rows], model.labels_[rows], model.probabilities_[rows])
shown.head()

# %% [markdown]
# ## Contact sheets
#
# Each cluster from its **prototypes**, the pictures nearest to its middle, out to its
# **outliers**, the farthest ones. Within a row from near to far.

# %% tags=["nbval-ignore-output"]
for cluster, rows in run.sheets():
    size = int((model.labels_ == cluster).sum())
    display(
        run.figure(
            figures.image_rows(rows, f"Cluster {cluster}: {size:,} pictures"),
            f"sheet_{cluster}",
            f"Cluster {cluster}, {size:,} pictures: prototypes first, outliers last.",
            f"Rows of pictures of cluster {cluster}, the nearest to its prototype first.",
        )
    )

# %% [markdown]
# ## Near duplicates
#
# Pictures whose small copies differ by less than 6 of 255 on the average: copies, other sizes or
# other qualities of one picture.

# %% tags=["nbval-ignore-output"]
duplicates = run.near_duplicates()
run.fact("pairs of near duplicates", len(duplicates))
if len(duplicates):
    pairs = pictures.first_lines(duplicates[["path", "other", "difference"]])
    display(run.table(pairs, "near_duplicates", "The most alike pairs"))
    display(
        run.figure(
            figures.image_rows(run.pair_pictures(duplicates), "Near duplicates"),
            "near_duplicates",
            "The most alike pairs, one above the other.",
            "Two rows of pictures; each column is a pair that looks the same.",
        )
    )

# %% [markdown]
# ## With labels
#
# Only here labels are looked at: how well the clusters agree with them, and which pictures may be
# labelled wrongly, because neither their nearest pictures nor their cluster share their label.

# %% tags=["nbval-ignore-output"]
if run.labels is not None:
    space = "umap" if run.is_laid_out else "pca"
    display(run.score(backbone, space, clusterer, model.labels_, model.layout_))
    table = metrics.hungarian_order(run.labels, model.labels_)
    match = metrics.hungarian_match(run.labels, model.labels_)
    row_names = [run.class_names[match[c]] if c in match else f"{c}" for c in table.clusters]
    column_names = [run.class_names[i] for i in table.classes]
    display(
        run.figure(
            figures.confusion(table.counts, row_names, column_names, "Clusters and classes"),
            "confusion",
            "Clusters (rows, named after the class that they are matched with) and classes.",
            "Matched confusion matrix; "
            f"{clusters_module.largest_confusion(table.counts, row_names, column_names)}.",
        )
    )

# %% tags=["nbval-ignore-output"]
if run.labels is not None:
    doubtful = run.likely_mislabelled()
    run.fact("likely mislabelled", len(doubtful))
    if len(doubtful):
        display(
            run.table(
                pictures.first_lines(doubtful.drop(columns="row")),
                "mislabelled",
                "Labels that are likely wrong",
            ),
            run.figure(
                figures.image_rows(run.doubtful_pictures(doubtful), "Likely mislabelled"),
                "mislabelled",
                "Pictures whose nearest pictures and whose cluster have another label.",
                f"{len(doubtful):,} pictures are likely mislabelled; the clearest are shown.",
            ),
        )

# %% tags=["nbval-ignore-output"]
run.write_outputs(duplicates)
run.finish()
