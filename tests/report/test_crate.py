import json
import shutil
import socket
from pathlib import Path
from urllib.parse import unquote

import fake_run
import pytest
from rocrate.rocrate import ROCrate

from report import build, crate, publish_checks, published
from utils import config, places
from utils.config.vocabulary import DATASETS
from utils.errors import UserError
from utils.store import files, ownership

STUDIES = ("mnist-cae", "cifar10-cae")


@pytest.fixture(scope="module", autouse=True)
def out(tmp_path_factory):
    """The report of a made-up run."""
    folder = tmp_path_factory.mktemp("made-up")
    with places.elsewhere(config=fake_run.write_config(folder / "config")):
        runs = fake_run.write_run(folder / "runs")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published, "load", fake_run.without_evidence)
            build.build("quick", STUDIES, [0, 1], runs, folder / "report")
        yield folder / "report"


@pytest.fixture
def copy(out, tmp_path):
    """A copy of the report that a test may change."""
    return Path(shutil.copytree(out, tmp_path / "copy"))


def entities(folder):
    """The entities of a crate by identifier, of which each is there once."""
    graph = files.read_json(folder / crate.FILE)["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def of_kind(folder, kind):
    return [entity for entity in entities(folder).values() if entity["@type"] == kind]


def one(folder, kind):
    (found,) = of_kind(folder, kind)
    return found


def described(folder):
    """The files that a crate lists, by path."""
    return {unquote(entity["@id"]): entity for entity in of_kind(folder, "File")}


def references(value):
    """The identifiers to which a part of a crate refers."""
    if isinstance(value, list):
        return [found for part in value for found in references(part)]
    if isinstance(value, dict):
        own = [value["@id"]] if value.keys() == {"@id"} else []
        return own + [found for part in value.values() for found in references(part)]
    return []


def write(folder):
    crate.write(folder, [config.load_study(name) for name in STUDIES])
    return (folder / crate.FILE).read_bytes()


def edit(folder, **changes):
    record = files.read_json(folder / "run.json")
    files.write_json(folder / "run.json", record | changes)


def test_it_has_the_descriptor_and_the_root_that_the_format_requires(out):
    assert files.read_json(out / crate.FILE)["@context"] == "https://w3id.org/ro/crate/1.2/context"
    found, record = entities(out), files.read_json(out / "run.json")
    assert found[crate.FILE] == {
        "@id": crate.FILE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.2"},
        "about": {"@id": "./"},
    }
    root = found["./"]
    assert root["@type"] == "Dataset"
    assert root["name"] and root["description"]
    assert root["datePublished"] == record["made"]
    assert root["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    assert all("@type" in entity for entity in found.values())


def test_every_reference_leads_to_an_entity(out):
    found = entities(out)
    described_elsewhere = {"https://w3id.org/ro/crate/1.2"}
    assert set(references(list(found.values()))) <= found.keys() | described_elsewhere


def test_every_file_is_listed_with_its_hash_size_and_format(out):
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    listed = described(out)
    assert listed.keys() == names - {crate.FILE, ownership.MANIFEST}
    for name, entity in listed.items():
        assert entity["sha256"] == files.sha256_file(out / name)
        assert entity["contentSize"] == str((out / name).stat().st_size)
        assert entity["encodingFormat"] == crate.FORMATS[Path(name).suffix]
    parts = [unquote(part["@id"]) for part in entities(out)["./"]["hasPart"]]
    assert set(parts) == {*listed, "figures/", "notebooks/"}
    held = {unquote(part["@id"]) for part in entities(out)["figures/"]["hasPart"]}
    assert held == {name for name in listed if name.startswith("figures/")}


def test_the_report_owns_it(out):
    assert crate.FILE in ownership.read_manifest(out).files


def test_it_can_be_read_back(out):
    read = ROCrate(out)
    assert read.name.endswith("profile quick")
    assert {unquote(entity.id) for entity in read.data_entities} >= described(out).keys()
    (action,) = [entity for entity in read.contextual_entities if entity.type == "CreateAction"]
    assert action["result"] is read.root_dataset


def test_the_run_says_when_with_what_and_from_which_data_it_is(out):
    action, record = one(out, "CreateAction"), files.read_json(out / "run.json")
    assert action["startTime"] == "2025-01-01T10:00:00+00:00"
    assert action["endTime"] == record["made"]
    found = entities(out)
    software, machine = (found[part["@id"]] for part in action["instrument"])
    assert software.get("version") == record["commit"]
    needs = [found[part["@id"]] for part in software["softwareRequirements"]]
    assert {need["name"]: need["version"] for need in needs} == record["versions"]
    assert machine["name"] == record["hardware"]["cpu"]
    assert str(record["hardware"]["memory_gib"]) in machine["description"]
    (data,) = (found[part["@id"]] for part in action["object"])
    assert data["name"] == "5,000 images of MNIST"
    hashes = record["data"]["mnist-cae"]
    assert [text.split()[-1] for text in data["identifier"]] == [
        hashes["images_sha256"],
        hashes["labels_sha256"],
    ]
    assert data["license"] == {"@id": "https://spdx.org/licenses/CC-BY-SA-3.0"}


def test_papers_and_authors_are_named(out):
    found = entities(out)
    papers = [found[part["@id"]] for part in found["./"]["citation"]]
    assert [paper["author"] for paper in papers] == [["Rantu Das"], ["Tasfia Tasnim Prioty"]]
    (author,) = (found[part["@id"]] for part in found["./"]["author"])
    assert author["name"] in (places.root() / "CITATION.cff").read_text(encoding="utf-8")


def test_the_same_folder_gives_the_same_bytes_without_a_network(copy, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    first = (copy / crate.FILE).read_bytes()
    assert write(copy) == first
    (copy / crate.FILE).unlink()
    assert write(copy) == first


def test_a_changed_file_changes_it(copy):
    (copy / "facts.csv").write_text("other\n")
    write(copy)
    assert described(copy)["facts.csv"]["sha256"] == files.sha256_file(copy / "facts.csv")


def test_each_part_of_a_published_run_has_its_own_time_machine_and_seeds(copy):
    record = files.read_json(copy / "run.json")
    hardware = record["hardware"] | {"cpu": "Another processor"}
    earlier = record | {"made": "2024-01-01T00:00:00+00:00", "hardware": hardware}
    earlier["published"] = {"mnist-cae": [1]}
    edit(copy, published={"mnist-cae": [0]}, earlier=[earlier])
    write(copy)
    now, before = of_kind(copy, "CreateAction")
    assert (now["description"], before["description"]) == (
        "Seeds: mnist-cae 0.",
        "Seeds: mnist-cae 1.",
    )
    assert before["endTime"] == "2024-01-01T00:00:00+00:00"
    assert {machine["name"] for machine in of_kind(copy, "IndividualProduct")} == {
        record["hardware"]["cpu"],
        "Another processor",
    }


@pytest.mark.parametrize(
    ("changes", "version", "description"),
    [
        ({"commit": "a" * 40, "dirty": False, "commit_reason": None}, "a" * 40, None),
        (
            {"commit": "a" * 40, "dirty": True, "commit_reason": None},
            "a" * 40,
            "with uncommitted changes",
        ),
        (
            {"commit": None, "dirty": None, "commit_reason": "git is not installed"},
            None,
            "git is not installed",
        ),
    ],
)
def test_the_state_of_the_code_is_told(copy, changes, version, description):
    edit(copy, **changes)
    write(copy)
    action = one(copy, "CreateAction")
    software = entities(copy)[action["instrument"][0]["@id"]]
    assert (software.get("version"), software.get("description")) == (version, description)


def test_every_dataset_is_described_and_its_paper_is_known():
    assert crate.DATASETS.keys() == DATASETS.keys()
    assert {citation for _, citation, *_ in crate.DATASETS.values()} <= crate._references().keys()


def test_a_dataset_without_a_stated_licence_has_none(copy):
    data = files.read_json(copy / "run.json")["data"]["mnist-cae"] | {"dataset": "cifar10"}
    edit(copy, data={"cifar10-cae": data})
    write(copy)
    (found,) = [one for one in of_kind(copy, "Dataset") if one.get("name") == "CIFAR-10"]
    assert "license" not in found
    assert "state no licence" in found["description"]


def test_references_that_cannot_be_read_are_an_error_and_change_nothing(copy, tmp_path, elsewhere):
    root = tmp_path / "checkout"
    (root / "reports/template").mkdir(parents=True)
    (root / "reports/template/references.bib").write_text("@report{")
    shutil.copyfile(places.root() / "CITATION.cff", root / "CITATION.cff")
    before, studies = (copy / crate.FILE).read_bytes(), config.load_study("mnist-cae")
    elsewhere(root)
    with pytest.raises(UserError, match=r"references\.bib: pandoc cannot read it"):
        crate.write(copy, [studies])
    assert (copy / crate.FILE).read_bytes() == before


def test_a_file_of_another_kind_is_an_error(copy):
    (copy / "model.pickle").write_bytes(b"")
    with pytest.raises(KeyError, match="pickle"):
        write(copy)


def test_publishing_may_replace_it(copy):
    folder = copy / "published"
    folder.mkdir()
    (folder / crate.FILE).write_text(json.dumps({}))
    publish_checks.require_nothing_else(folder, published.load(folder))
