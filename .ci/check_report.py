"""Check that the files of a report are there and agree: ``check_report.py PROFILE``."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from commands.request import RESULTS
from report import recomputed, soundness
from report.evidence_tables import ORIGINS_TABLE
from report.markdown import of_kind
from utils.config.load import load_study
from utils.config.schema import Reported, Study
from utils.data import datasets
from utils.places import ROOT
from utils.store.files import read_json
from utils.store.tables import CONFUSION_TABLE

METHOD = ["representation", "space", "clusterer"]
COMBINATION = ["study", "seed", "representation", "space", "clusterer", "n"]


def require(condition: bool, complaint: str) -> None:
    """Stop with `complaint` unless `condition` holds."""
    if not condition:
        sys.exit(f"check_report: {complaint}")


def check_files(folder: Path) -> None:
    """Check that every file is there and is what its name says."""
    for name in RESULTS:
        path = folder / name
        files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
        require(bool(files), f"{path} is empty")
        for file in files:
            require(file.is_file() and file.stat().st_size > 0, f"{file} is missing or empty")
    for name in ("report", "supplement"):
        require((folder / f"{name}.pdf").read_bytes()[:5] == b"%PDF-", f"{name}.pdf is no PDF")
    for path in folder.glob("*.html"):
        require("</html>" in path.read_text("utf-8"), f"{path.name} is cut off")
    require(any(folder.glob("notebooks/*.html")), "no executed notebook was exported")


def check_seeds(run: dict, metrics: pd.DataFrame) -> None:
    """Check that the record of the run and the table of metrics name the same seeds and topics.

    Where nothing is trained, k-means may have been started from further seeds.
    """
    for topic, rows in metrics.groupby("study"):
        require(
            set(run["seeds"]) <= set(rows["seed"]), f"metrics.csv: a seed of {topic} is missing"
        )
        if topic in run["studies"]:
            rows = rows[rows["representation"] == "autoencoder"]
        require(set(rows["seed"]) == set(run["seeds"]), f"run.json: other seeds of {topic}")
    topics = {*run["studies"], *run["leaderboards"]} - set(run["not_run"])
    require(set(metrics["study"]) == topics, "run.json: other topics than in metrics.csv")
    require(set(run["data"]) == topics, "run.json: other topics have data")
    require(not run["gaps"], f"run.json: something is missing: {run['gaps']}")


def check_assignments(run: dict, metrics: pd.DataFrame, assignments: pd.DataFrame) -> None:
    """Compute each ARI again from the stored clusters and the data set's labels."""
    labels = {
        study: datasets.load(data["dataset"], offline=True).labels
        for study, data in run["data"].items()
    }
    clusterings = dict(list(assignments.groupby(COMBINATION, observed=True)))
    scored = metrics[metrics["metric"] == "ari"].set_index(COMBINATION)["value"]
    require(len(scored) > 0 and set(scored.index) == set(clusterings), "ARI without clusters")
    for key, value in scored.items():
        rows = clusterings[key]
        study, n = key[0], key[-1]
        require(sorted(rows["index"]) == list(range(n)), f"{key}: not one row an image")
        again = adjusted_rand_score(labels[study][rows["index"]], rows["cluster"])
        require(abs(again - value) < 1e-6, f"{key}: ARI is {value} in metrics.csv, really {again}")


def check_confusion(metrics: pd.DataFrame, confusion: pd.DataFrame) -> None:
    """Check that every clustering has each of its images once, and compute its scores again."""
    sizes = confusion.groupby(COMBINATION)["images"].sum()
    require(set(sizes.index) == set(metrics.set_index(COMBINATION).index), "other clusterings")
    require(all(key[-1] == size for key, size in sizes.items()), "confusion: other images")
    wrong = recomputed.disagreements(metrics, confusion)
    require(not wrong, f"metrics.csv: {len(wrong)} differ from confusion.parquet: {wrong[:5]}")


def check_origins(run: dict, metrics: pd.DataFrame, origins: pd.DataFrame) -> None:
    """Check that the origin of each representation's scores is named, and of its network."""
    key = ["study", "seed", "representation"]
    scored = metrics[metrics["study"].isin(run["studies"])]
    missing = set(scored.set_index(key).index) - set(origins.set_index(key).index)
    require(not missing, f"origins.csv: no row for {sorted(missing)[:5]}")
    texts = origins[["notebook", "code", "processor", "computed"]]
    require((texts != "").all(axis=None), "origins.csv: an origin without code, machine or time")
    of_studies = origins[origins["study"].isin(run["studies"])]
    trained = of_studies["representation"].str.startswith("autoencoder")
    named = of_studies["network_processor"] != ""
    require((trained == named).all(), "origins.csv: a network without origin, or the reverse")


def find_values(study: Study, reported: Reported, metrics: pd.DataFrame) -> list[float]:
    """Look up our values of a reported score of one study, one per run of its protocol."""
    for key in ("representation", "space", "clusterer"):
        metrics = metrics[metrics[key] == getattr(reported, key)]
    found = metrics[metrics["metric"] == reported.metric]
    values = found.loc[found["n"] == found["n"].max(), "value"].tolist()
    is_fixed = study.kmeans.random_state is not None
    return values[:1] if is_fixed and "autoencoder" not in reported.representation else values


def check_claims(studies: list[str], text: str) -> None:
    """Check that the report has every claim, and an outcome for each."""
    claims = [claim for study in studies for claim in load_study(study).claims]
    for claim in claims:
        require(claim.text in text, f"the supplement does not have the claim {claim.text!r}")
    outcomes = len(re.findall(r"The claim (holds|does not hold|is undecided|is not tested)", text))
    require(outcomes == len(claims), f"{outcomes} outcomes of {len(claims)} claims")


def check_verdicts(metrics: pd.DataFrame, verdicts: pd.DataFrame, text: str) -> None:
    """Compute each mean again, and look it and the reported value up in the report's text."""
    studies = [load_study(name) for name in verdicts["study"].unique()]
    collapsed = soundness.collapsed(metrics, studies)
    metrics = soundness.without(metrics, collapsed)
    for _, row in verdicts.iterrows():
        study, name = load_study(row["study"]), row["score"]
        reported = [score for score in study.reported if score.score == name]
        place = f"{study.study}: {name}"
        require(len(reported) == 1, f"{place} is not in its file")
        printed = [source.value for source in reported[0].sources]
        require(row["reported"] in printed, f"{place}: {row['reported']} is not reported")
        require(row["reported"] in text, f"the supplement does not say {row['reported']} ({place})")
        found = find_values(study, reported[0], metrics[metrics["study"] == study.study])
        require(row["n_networks"] == len(found), f"{place}: wrong number of runs")
        if not found:
            # Weights that are not available, or collapsed networks: no number may stand for them.
            failed = any(key[::2] == (study.study, reported[0].representation) for key in collapsed)
            empty = row[["mean", "sd", "prediction_low", "prediction_high"]].isna().all()
            require(empty, f"{place}: a made-up number")
            require(row["verdict"] == ("failed" if failed else "not run"), f"{place}: no verdict")
            require(isinstance(row["note"], str), f"{place}: not run without a reason")
            continue
        mean = np.mean(found)
        require(np.isclose(row["mean"], mean), f"{place}: the mean is {mean}")
        require(f"{mean:.4f}" in text, f"the supplement does not say {mean:.4f} ({place})")


def check_identities(studies: list[str], identities: pd.DataFrame) -> None:
    """Check that every count that a protocol fixes is there, and has an outcome."""
    expected = [(study, of.what) for study in studies for of in load_study(study).identities]
    listed = list(zip(identities["study"], identities["what"], strict=True))
    require(listed == expected, "identities.csv: other counts than in the studies' files")
    require(identities["outcome"].notna().all(), "identities.csv: a count without an outcome")


def check_leaderboards(run: dict, metrics: pd.DataFrame, folder: Path, text: str) -> None:
    """Compute each method's mean ARI again, and find the best one in the report's text."""
    if not run["leaderboards"]:
        return
    methods = pd.read_csv(folder / "leaderboard.csv")
    require(set(methods["study"]) == set(run["leaderboards"]), "leaderboard.csv: other ones")
    ari = metrics[metrics["metric"] == "ari"].groupby(["study", *METHOD])["value"].mean()
    for row in methods.to_dict("records"):
        key = (row["study"], *(row[part] for part in METHOD))
        require(np.isclose(row["ari"], ari[key]), f"leaderboard.csv: ARI of {key}")
    for board, own in methods.groupby("study"):
        require(len(own) == (ari.index.get_level_values(0) == board).sum(), f"{board}: methods")
        best = of_kind(own["ari"].max(), "score")
        require(best in text, f"the supplement does not say {best} ({board}, best method)")


def supplement_pages(run: dict, folder: Path) -> str:
    """Read the first page of the supplement, and that of each study and leaderboard."""
    names = [f"supplement-{topic}" for topic in (*run["studies"], *run["leaderboards"])]
    missing = [name for name in names if not (folder / f"{name}.html").is_file()]
    require(not missing, f"pages are missing: {missing}")
    return "".join((folder / f"{name}.html").read_text("utf-8") for name in ("supplement", *names))


def check_links(page: str, folder: Path) -> None:
    """Follow the links of some figures to the notebook's cell, which must name the figure."""
    figure = r'<figure id="fig-[^"]*-(samples|loss_curve|tsne_label)">'
    found = re.findall(figure + r'.*?href="(notebooks/[^"#]+)#(cell-\d+)"', page, re.DOTALL)
    require(found, "the supplement: no figure leads to its cell")
    for name, file, cell in found:
        pattern = f'<section[^>]* id="{cell}".*?</section>'
        section = re.search(pattern, (folder / file).read_text("utf-8"), re.DOTALL)
        require(section and name in section[0], f"{file}: {cell} did not draw {name}")


def main(profile: str) -> None:
    """Check ``reports/<profile>``."""
    folder = ROOT / "reports" / profile
    check_files(folder)
    run = read_json(folder / "run.json")
    metrics = pd.read_csv(folder / "metrics.csv")
    require(set(metrics["profile"]) == {profile}, "metrics.csv: rows of another profile")
    check_seeds(run, metrics)
    check_assignments(run, metrics, pd.read_parquet(folder / "assignments.parquet"))
    page = supplement_pages(run, folder)
    check_links(page, folder)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("−", "-")
    check_confusion(metrics, CONFUSION_TABLE.read(folder / CONFUSION_TABLE.file))
    check_origins(run, metrics, ORIGINS_TABLE.read(folder / ORIGINS_TABLE.file))
    verdicts = pd.read_csv(folder / "reported_vs_reproduced.csv", dtype={"reported": str})
    check_verdicts(metrics, verdicts, text)
    check_identities(run["studies"], pd.read_csv(folder / "identities.csv", dtype=str))
    check_leaderboards(run, metrics, folder, text)
    check_claims([study for study in run["studies"] if study not in run["not_run"]], text)
    print(f"check_report: {len(metrics)} values of {folder} are there and agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
