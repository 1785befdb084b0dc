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
# # 0. Explore
#
# A **map** of images, the images themselves, the **matrix** of clusters and classes, and the
# scores, linked: choose a method and k, draw around points, save what you find. It works on a
# sample, and begins with what is there: the map of your own run, or else the **published** one, or
# else k-means on principal components of the pixels, which takes seconds.
#
# Classes are for looking and scoring only: no clustering, map or choice depends on them.

# %% tags=["parameters"]
# Defaults; change them and run the notebook again.
study = "mnist-cae"  # one of config/studies; the view below has a list of all
profile = "quick"  # whose network and run are taken up: "quick" or "paper"
seed = 0  # of the run, and the first seed of the settings
run_dir = None  # where a saved selection goes; None: runs/interactive/<study>/selections
folder = None  # a run of your own images (runs/images/…) instead of a study

# %% tags=["nbval-ignore-output"]
from dataclasses import replace

from IPython.display import display

from utils import explore, figures
from utils.config.load import study_names

pictures = explore.open_folder(folder) if folder else explore.open_study(study, profile, seed)
setting = explore.start(pictures)
outcome = explore.run(pictures, setting)
print(*pictures.notes, sep="\n")

# %%
print(f"{pictures.topic}: images {pictures.images.shape[1:]}, {pictures.images.dtype}")

# %% [markdown]
# ## The first view, without widgets
#
# The same map, matrix and images as pictures, for a reader without a kernel.

# %% tags=["nbval-ignore-output"]
xy = explore.map_of(pictures, outcome, "recorded" if pictures.recorded else "components")
names = figures.cluster_names(int(outcome.assignment.max()) + 1)
figures.map_by_class(xy, outcome.assignment, names, "Clusters", "cluster", axes="map")

# %% tags=["nbval-ignore-output"]
if pictures.labels is not None:
    scored = pictures.labels >= 0
    classes, clusters = pictures.labels[scored], outcome.assignment[scored]
    title = "Clusters and classes"
    display(figures.matched_confusion(classes, clusters, pictures.class_names, title))

# %% tags=["nbval-ignore-output"]
of_cluster = {
    name: pictures.images[outcome.assignment == cluster][:12] for cluster, name in enumerate(names)
}
figures.image_rows({name: shown for name, shown in of_cluster.items() if len(shown)}, "Clusters")

# %% [markdown]
# ## The linked view
#
# Move the mouse over a point to see its image. Press the **lasso button** of the map and draw
# around points to see all of theirs. Choose a **cell** of the matrix: its points light up. Scores
# follow every change; external ones are for scoring only. What takes over ten seconds says so and
# waits for **Compute**. **Save selection** writes a CSV file with the positions of the chosen
# images, or the paths of your own; no picture is changed.

# %% tags=["nbval-ignore-output"]
from utils.explore.view import SideBySide, View

others = {name: lambda name=name: explore.open_study(name, profile, seed) for name in study_names()}
view = View(pictures, setting, reopen=None if folder else others, folder=run_dir)
display(view.box)

# %% [markdown]
# ## What if
#
# Two settings on the same images. The **adjusted Rand index** between them says how far they agree,
# without labels: 1 is the same clusters, 0 is chance.

# %% tags=["nbval-ignore-output"]
base = replace(setting, representation=explore.simplest(pictures), space="pca50")
changes = {
    "without PCA": replace(base, space="raw"),
    "k + 2": replace(base, k=base.k + 2),
    "another seed": replace(base, seed=base.seed + 1),
    "UMAP, 15 neighbours": replace(base, space="umap2"),
    "UMAP, 30 neighbours": replace(base, space="umap2", neighbours=30),
}
compared = {name: explore.compare(pictures, base, changed) for name, changed in changes.items()}
for name, pair in compared.items():
    print(f"Result: {name}: ARI with {base} is {pair.ari:.3f}, {pair.moved.sum():,} images move")

# %%
print(f"{len(compared)} settings compared on the same images")

# %% tags=["nbval-ignore-output"]
explore.score_table([pair.b for pair in compared.values()]).round(3)

# %% [markdown]
# The same for any two settings, side by side. A choice in one map lights up in the other.

# %% tags=["nbval-ignore-output"]
beside = SideBySide(pictures, base, changes["k + 2"])
display(beside.box)
