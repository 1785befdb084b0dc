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
# components**, and groups at several **levels**, from coarse to fine. `./run_all.sh images DIR`
# runs this notebook and makes a report of it; here it runs with an example, some digits as files.
#
# No result depends on labels. If you have labels (a folder for each class, or a CSV file), they are
# used at the end, to score the clusters.

# %% tags=["parameters"]
# Defaults. A run of the report adds a cell below with its own values, which replace these.
study = "example"  # a plain name for the collection
profile = "images"  # the only one
seed = 0  # seed of the layout and of the clusterer
run_dir = None  # where results go; None: runs/interactive
folder = None  # the folder of your pictures; None: an example
labels = "folders"  # "folders", a CSV file with the columns path and label, or None
clusters = "auto"  # number of clusters, or "auto"
backbone = "efficientnet_lite0"  # the frozen network
clusterer = "auto"  # "levels" without a number, else "gmm"; or one of utils.clustering.CLUSTERERS
level = "auto"  # level in front, 1 for the coarsest, or "auto"
exclude = []  # patterns of names that are left out, besides the usual ones
largest_megapixels = 100  # larger pictures are left out
with_metadata = True  # whether dates, cameras and sizes are shown
own_features = None  # a file of features with paths, instead of the network's
least_similarity = 0.9  # of near copies, in (0, 1]
against = None  # another folder: which of its pictures are here too
subset = None  # how many pictures to choose for labelling
method = None  # "auto": the clusterer and its number are chosen by a rule without labels

# %% tags=["nbval-ignore-output"]
from IPython.display import display

from utils import figures, metrics, runs
from utils.runs import near_duplicates, picture_levels, picture_map
from utils.runs.pictures import first_lines

run = runs.open_pictures(
    folder,
    labels,
    backbone,
    clusters,
    clusterer,
    study,
    seed,
    run_dir,
    exclude=exclude,
    largest_megapixels=largest_megapixels,
    with_metadata=with_metadata,
    own_features=own_features,
    level=level,
    least_similarity=least_similarity,
    against=against,
    subset=subset,
    method=method,
)

# %% [markdown]
# ## The pictures
#
# Pictures are turned as their camera says, cut to a square in the middle, and put on white, or on
# black if they are bright, where they are transparent. What is not used is listed with its reason.

# %%
run.record.fact("files found", len(run.found.names))
run.record.fact("pictures", len(run.usable))
run.record.fact("files left out", len(run.skipped))
print(f"{len(run.usable):,} pictures, {len(run.skipped):,} files left out")
print(f"features: {run.backbone['backbone']}, {run.features.shape}, {run.features.dtype}")
if len(run.skipped):
    left_out = first_lines(run.skipped)
    display(run.record.table(left_out, "skipped", "Files that were left out"))
if len(run.odd_files):
    odd = first_lines(run.odd_files)
    display(run.record.table(odd, "odd_files", "Files that are used although something is odd"))

# %%
run.record.figure(
    figures.image_rows(run.some_pictures(), "Some of the pictures"),
    "pictures",
    f"Pictures drawn at random from {len(run.usable):,}, as the network sees them.",
)

# %% [markdown]
# ## Levels
#
# One number of groups suits no two folders. **Leiden**'s communities are therefore found on the
# graph of the 15 nearest neighbours in the principal components, at several resolutions, each level
# within the one before. In front is the finest of four resolutions whose groups **come again**:
# those of parts of 80 % of the pictures agree with those of all (adjusted Rand index at least 0.85,
# without labels). If none comes again, all pictures are one group. The finest level sets small
# groups of very similar pictures apart. `--level N` puts another level in front. `--clusters K`
# asks for K clusters, by a Gaussian mixture on a layout by **UMAP**; a clusterer that needs a
# number and has none takes that of the highest **silhouette** of k-means.

#
# With `--method auto` a rule chooses among four methods, all with the number of groups of the level
# in front: by the agreement of their clusters across seeds and halves of the pictures, their
# silhouette in the UMAP layout, and their agreement with each other (`config/selection.yaml`).

# %% tags=["nbval-ignore-output"]
choice = run.choice
if choice is not None:
    print(f"Result: chosen without labels: {choice.why}")
    if len(choice.table):
        display(run.record.table(choice.table, "choice", f"The rule chose: {choice.why}"))

# %% tags=["nbval-ignore-output"]
model = run.model
levels = picture_levels.level_table(model)
run.record.fact("clusters", model.n_clusters_)
run.record.fact("levels", len(levels))
run.record.fact("level in front", model.front_ + 1)
run.record.fact("clusters chosen without labels", bool(len(model.k_candidates_)))
print(f"Result: {model.n_clusters_} groups in front, at level {model.front_ + 1} of {len(levels)}")
display(run.record.table(levels, "levels", "The levels: number of groups, and their sizes"))

# %% tags=["nbval-ignore-output"]
if len(model.agreements_):
    coming_again = picture_levels.agreement_table(model)
    how_well = "How well the groups of parts agree with those of all pictures, from fine to coarse"
    display(run.record.table(coming_again, "agreement", how_well))

# %%
if len(model.resolutions_):
    display(run.record.figure(figures.level_sizes(model.levels_, model.front_), "level_sizes"))
if len(model.k_candidates_):
    curve = figures.k_curve(model.k_candidates_, model.k_silhouettes_, model.n_clusters_)
    display(run.record.figure(curve, "k_curve"))

# %% tags=["nbval-ignore-output"]
costs = picture_levels.cost_table(model)
print(f"Result: {costs['seconds'].sum():.1f} s from the features to the groups")
display(costs)

# %% [markdown]
# ## The groups in front
#
# The **confidence** of a picture is the share of walks of two steps, each to one of its 20 nearest
# pictures, that stay in its group.

# %% tags=["nbval-ignore-output"]
run.record.table(
    run.cluster_table(),
    "clusters",
    "The groups: number and share of the pictures, mean confidence, and the prototype, which "
    "is the picture nearest to the group's mean",
)

# %%
rows = run.map_rows()
cluster_names = [f"cluster {cluster}" for cluster in range(model.n_clusters_)]
shown_map = figures.map_by_class(
    run.positions[rows],
    model.labels_[rows],
    cluster_names,
    "Clusters",
    "cluster",
    axes="UMAP" if run.is_laid_out else "component",
)
run.record.figure(
    shown_map,
    "map_clusters",
    f"{len(rows):,} of {len(run.usable):,} pictures as dots: near ones look alike to the network. "
    "Distances between far groups mean nothing.",
)

# %%
shown = run.record.atlas(picture_map.map_table(run))
print(f"{len(shown):,} pictures on the interactive map of the report")

# %% [markdown]
# ## Contact sheets
#
# Each group of the level in front: its **prototypes**, the pictures nearest to its middle, some
# between, and the **least clear** ones, of the lowest confidence.

# %% tags=["nbval-ignore-output"]
for cluster, sheet in run.sheets():
    size = int((model.labels_ == cluster).sum())
    contact_sheet = figures.contact_sheet(sheet, f"Cluster {cluster}: {size:,} pictures")
    caption = f"Cluster {cluster}, {size:,} pictures: prototypes first, the least clear last."
    display(run.record.figure(contact_sheet, f"sheet_{cluster}", caption))

# %%
unclear = run.least_clear()
unclear_sheet = figures.contact_sheet(
    {"least clear": run.named(unclear)}, "The least clear pictures"
)
run.record.figure(
    unclear_sheet, "least_clear", "The pictures of the lowest confidence, from all groups."
)

# %% [markdown]
# ## Outliers
#
# The **outlier score** of a picture is its cosine distance to the 50th nearest one, or of fewer
# than 400 pictures to an eighth of them. Listed are those above the upper fence of all scores, 1.5
# interquartile ranges above the third quartile. A new picture above it (`--model`) belongs to no
# group.

# %% tags=["nbval-ignore-output"]
outliers = run.outliers()
run.record.fact("outliers", len(outliers))
print(f"Result: {len(outliers):,} outliers, with scores above {model.far_threshold_:.3f}")
if len(outliers):
    listed_outliers = first_lines(outliers.drop(columns="row"))
    display(run.record.table(listed_outliers, "outliers", "Pictures far from all others"))

# %%
if len(outliers):
    farthest = {"farthest": run.named(outliers["row"].head(figures.SHEET_COLUMNS))}
    outlier_sheet = figures.contact_sheet(farthest, "Outliers")
    display(run.record.figure(outlier_sheet, "outliers", "The pictures farthest from all others."))

# %% [markdown]
# ## Copies
#
# Pictures that are **copies** of others: the same bytes, the same pixels, or nearly the same, which
# includes cropped, mirrored and turned copies, and such of other size, tone or quality. Each group
# has a picture to keep, the largest one. Nothing is deleted; `duplicates.csv` lists all groups.

# %%
copies = run.duplicates
n_groups = copies["group"].nunique()
run.record.fact("groups of copies", n_groups)
run.record.fact("pictures that could go", int((copies["keep"] == "no").sum()))
print(f"Result: {n_groups:,} groups of copies, {len(copies):,} pictures")
if n_groups:
    copies_by_kind = near_duplicates.summary(copies)
    listed_copies = first_lines(near_duplicates.table(copies, run.image_names))
    display(run.record.table(copies_by_kind, "copies_by_kind", "Groups of copies by kind"))
    display(run.record.table(listed_copies, "copies", "Copies, by group"))

# %%
if n_groups:
    largest = figures.contact_sheet(run.copies_sheet(), "Copies")
    about_copies = "The largest groups of copies, the picture to keep first."
    display(run.record.figure(largest, "copies", about_copies))

# %% [markdown]
# ## Another folder
#
# With `--against DIR`: which pictures of DIR are **here too**, unchanged or nearly so, such as test
# pictures that are among those for training. `against.csv` lists each with the one most like it.

# %%
if run.other is None:
    print("Result: no other folder was given")
else:
    n_there, n_both = len(run.other.names), len(run.pairs)
    run.record.fact("pictures of the other folder", n_there)
    run.record.fact("of them here too", n_both)
    print(f"Result: {n_both:,} of {n_there:,} pictures of the other folder are here too")
    if n_both:
        pairs = first_lines(run.pairs_table())
        pairs_sheet = figures.contact_sheet(run.pairs_sheet(), "Here and in the other folder")
        about_pairs = "The first pictures of the other folder that are here too, below those here."
        display(run.record.table(pairs, "against", "Pictures in both folders"))
        display(run.record.figure(pairs_sheet, "against", about_pairs))

# %% [markdown]
# ## Pictures to label
#
# With `--subset N`: pictures that **stand for all**. The first is nearest to the mean; each next
# one is the farthest from those before (Gonzalez 1985), so that no picture is far from all of them.

# %%
if subset is None:
    print("Result: no subset was asked for")
else:
    run.record.fact("pictures to label", len(run.subset))
    print(f"Result: {len(run.subset):,} of {len(run.usable):,} pictures stand for all")
    chosen = first_lines(run.subset_table())
    subset_sheet = figures.contact_sheet(run.subset_sheet(), "Pictures to label")
    about_subset = "The first pictures to label, in the order of choice."
    display(run.record.table(chosen, "subset", "Pictures to label, in the order of choice"))
    display(run.record.figure(subset_sheet, "subset", about_subset))

# %% [markdown]
# ## Unusual pictures
#
# Pictures that are **dark**, **light**, of one colour (**blank**), nearly empty (**low
# information**), very long or very small (**odd size**), or **blurred**, each with the measure that
# says so. `quality.csv` lists all of them.

# %%
unusual = run.unusual_table()
run.record.fact("unusual pictures", unusual["path"].nunique())
print(f"Result: {unusual['path'].nunique():,} unusual pictures")
if len(unusual):
    display(run.record.table(first_lines(unusual), "quality", "Unusual pictures"))

# %%
if len(unusual):
    unusual_sheet = figures.contact_sheet(run.unusual_sheet(), "Unusual pictures")
    about_unusual = "The most extreme pictures of each kind."
    display(run.record.figure(unusual_sheet, "quality", about_unusual))

# %% [markdown]
# ## With labels
#
# Labels are used only here: how well the clusters agree with them, and which pictures may have a
# wrong label, because neither their nearest pictures nor their cluster share it.

# %% tags=["nbval-ignore-output"]
if run.labels is not None:
    some = run.labelled  # pictures without a label are clustered, but not scored
    scores = metrics.score(model.labels_[some], run.labels[some], model.layout_[some])
    print(f"Result: ARI {scores['ari']:.4f}, ACC {scores['acc']:.4f}")
    display(
        run.record.score(
            run.backbone["backbone"], run.space, model.clusterer_, model.labels_[some], scores
        )
    )

# %% tags=["nbval-ignore-output"]
if run.labels is not None:
    confusion = figures.matched_confusion(
        run.labels[some], model.labels_[some], run.class_names, "Clusters and classes"
    )
    display(run.record.figure(confusion, "confusion"))

# %% tags=["nbval-ignore-output"]
if run.labels is not None:
    doubtful = run.likely_mislabelled()
    run.record.fact("likely mislabelled", len(doubtful))
    print(f"Result: {len(doubtful):,} pictures are likely mislabelled")
    if len(doubtful):
        listed = first_lines(doubtful.drop(columns="row"))
        wrong = figures.image_rows(run.doubtful_pictures(doubtful), "Likely mislabelled")
        reason = "Pictures whose nearest pictures and whose cluster have another label."
        display(run.record.table(listed, "mislabelled", "Labels that are likely wrong"))
        display(run.record.figure(wrong, "mislabelled", reason))

# %% tags=["nbval-ignore-output"]
run.write_outputs()
run.record.finish()
