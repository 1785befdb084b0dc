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
# # 5. Beyond the papers: what clusters these images best
#
# Each method of a leaderboard is a **representation** (pixels, hand-made features, a network
# trained on these images or a frozen one), a **space** (as it is, principal components, or UMAP)
# and a **clusterer**. All methods see the same images and no label.
#
# *What the labels did.* No step of a method reads a label of these images. But numbers of
# neighbours, components, epochs and layouts were tried, and methods added, with the scores in view:
# the scores of the best methods are optimistic. The number of clusters is the number of classes,
# which **is** knowledge of the labels; methods that find it themselves stand beside. The weights of
# EfficientNet were trained with the labels of ImageNet. The settings of every method are recorded
# as it was run. Noise counts as a cluster of its own; scores of the covered images alone are beside
# it. Internal indices of all methods are measured in one common space, because across spaces they
# cannot be compared. Methods that failed to help are kept.

# %% tags=["parameters"]
study = "beyond-mnist"  # a file in config/leaderboards
profile = "quick"  # "quick" or "paper": how much to run
seed = 0  # seed of every network, space and clusterer that has one
run_dir = None  # where results go; None: runs/interactive
recipe = None  # None: every method of the profile; a recipe's name: this one alone

# %% tags=["nbval-ignore-output"]
import pandas as pd
from IPython.display import display

from utils import figures, runs

run = runs.open_leaderboard("05_beyond_the_papers", study, profile, seed, run_dir)
methods = run.methods(recipe)

# %%
print(
    f"{run.dataset}: {len(run.images):,} images, {run.board.n_clusters} classes, "
    f"{len(methods)} methods"
)

# %% [markdown]
# ## The methods
#
# What a stage costs is measured when it is computed, and every method is charged for all of its
# stages, also for those that it shares with others.

# %% tags=["nbval-ignore-output"]
scores = pd.DataFrame(
    [run.run(method).rename(figures.name_of(*method.names)) for method in methods]
)
shown = ["acc", "ari", "nmi", "ami", "silhouette", "davies_bouldin", "seconds"]
scores.reindex(columns=shown).sort_values("ari", ascending=False).round(4)

# %% [markdown]
# ## Without labels: which method, how many clusters
#
# What a person without labels can look at. *Halves*: the adjusted Rand index of two clusterings of
# all images, each made from one half and extended to the other by its nearest neighbours. The
# silhouette is measured in the UMAP space of the features that were clustered. *Generalisation*:
# how well a linear classifier predicts the clusters from the features. Agreement across seeds and
# with other representations follows from the assignments. `config/selection.yaml` says which of
# these choose a method, and why. Of more than 5,000 images so many are drawn, always the same.

# %% tags=["nbval-ignore-output"]
unlabelled = runs.open_label_free(run)
if recipe is None:
    display(pd.DataFrame([unlabelled.indices(method) for method in methods]).round(3))

# %% [markdown]
# The number of clusters that each rule finds in a representation, by its first 50 principal
# components: Leiden at two resolutions, the front level that one's own pictures get, PLSCAN,
# prediction strength and the silhouette of k-means. The last three look at the UMAP layout of the
# components.

# %% tags=["nbval-ignore-output"]
if recipe is None:
    numbers = [unlabelled.numbers(*one) for one in unlabelled.representations().items()]
    display(pd.DataFrame(numbers))
unlabelled.write()

# %% [markdown]
# ## Where the best method fails
#
# The best method is the one with the highest adjusted Rand index: this picture looks at labels, and
# nothing is chosen for another run by it. Clusters are matched one to one with classes.

# %% tags=["nbval-ignore-output"]
best = methods[int(scores["ari"].to_numpy().argmax())]
result = run.cluster(best)
assignment, title = result.assignment, figures.name_of(*best.names)
run.record.figure(
    figures.matched_confusion(run.labels, assignment, run.class_names, title), "best_confusion"
)

# %% tags=["nbval-ignore-output"]
mistakes = run.most_confused(assignment)
if mistakes:
    display(
        run.record.figure(
            figures.image_rows(mistakes, "Most confused"),
            "best_confused",
            "The pairs of class and cluster that the best method confuses most: random images of "
            "the class that lie in the other's cluster.",
        )
    )

# %% [markdown]
# ## Prototypes and doubtful images
#
# What the best method took each cluster to be: the images nearest to the cluster's mean in the
# space that was clustered. Beside them, where the clusterer says how sure it is, those it doubts
# most.

# %% tags=["nbval-ignore-output"]
run.record.figure(
    figures.image_rows(run.prototypes(assignment, result.points), "Prototypes"),
    "best_prototypes",
    "The images of each cluster of the best method that lie nearest to its mean.",
)

# %% tags=["nbval-ignore-output"]
confidence = result.confidence
if confidence is None:
    print(f"{title} has no confidence")
else:
    display(
        run.record.figure(
            figures.image_rows(run.doubtful(assignment, confidence), "Lowest confidence"),
            "best_doubtful",
            "The images of each cluster of the best method with the lowest confidence, down to "
            f"{confidence.min():.2f}.",
        )
    )

# %% [markdown]
# ## Images that the methods did not see
#
# The named methods once more, on other images. On *held-out* images no choice was ever made: a
# method clusters them afresh. *Assigned* images are new to a method that was fitted on others:
# each gets the cluster for which its ten nearest fitted images vote, weighted by inverse
# distance, in the principal components of the method's representation. `acc_of_fit_match` is the
# accuracy if clusters and classes stay matched as on the fitted images. The confidence is the
# share of the vote, and `ece` its expected calibration error. Labels serve for these scores only.

# %%
new = runs.open_new_images(run)
named = new.methods() if recipe is None else []
print(f"{len(named)} methods: {new.in_words()}")

# %% tags=["nbval-ignore-output"]
for unseen_by in named:
    new.held_out(unseen_by)
    new.assign(unseen_by)
new.write()
new.by_method().round(4)

# %% tags=["nbval-ignore-output"]
confidences = new.reliability()
if len(confidences):
    calibration = figures.reliability(confidences, "Images that the methods did not see")
    display(calibration)

# %% [markdown]
# ## Appendix: what else was tried
#
# Each attempt was measured once, with seed 0, and became no method. These numbers come from the
# leaderboard's file; the notebook does not measure them again.

# %%
run.attempts()

# %% tags=["nbval-ignore-output"]
run.finish()
