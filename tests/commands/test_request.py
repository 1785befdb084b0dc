"""What a request is to make."""

from pathlib import Path

from commands.request import Request
from utils.config.load import load_leaderboard, load_profile, load_study


def test_the_manifests_are_those_that_the_workflow_makes(tmp_path, elsewhere):
    """Where nothing is trained, only the first seed is run; a leaderboard is run with each."""
    elsewhere(runs=tmp_path)
    topics = load_study("mnist-cae"), load_leaderboard("beyond-mnist"), load_study("fashion-ae")
    request = Request(load_profile("quick"), topics, 2, Path("reports/quick"), None, True, ())
    for topic in topics[:2]:  # the third has no data
        request.place(topic).data.parent.mkdir(parents=True)
        request.place(topic).data.write_text("{}")
    found = [path.relative_to(request.runs).parent for path in request.manifests()]
    assert list(map(str, found)) == [
        "mnist-cae/seed-0/01_baseline_kmeans",
        "mnist-cae/seed-0/02_train_autoencoder",
        "mnist-cae/seed-0/03_latent_clustering",
        "mnist-cae/seed-0/04_pretrained_comparison",
        "mnist-cae/seed-1/02_train_autoencoder",
        "mnist-cae/seed-1/03_latent_clustering",
        "beyond-mnist/seed-0/05_beyond_the_papers",
        "beyond-mnist/seed-1/05_beyond_the_papers",
    ]
