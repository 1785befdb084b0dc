"""``ro-crate-metadata.json`` (RO-Crate 1.2): what a report holds, and how and from what it is made.

The same folder gives the same bytes: no time of writing and no random identifier is in it.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from report import citation
from utils import errors, places
from utils.store import files

if TYPE_CHECKING:
    from rocrate.model.entity import Entity

    from utils import config

FILE = "ro-crate-metadata.json"
FORMATS = {".csv": "text/csv", ".html": "text/html", ".png": "image/png", ".svg": "image/svg+xml"}
FORMATS |= {".webp": "image/webp", ".json": "application/json", ".pdf": "application/pdf"}
FORMATS |= {".parquet": "application/vnd.apache.parquet"}
# Of each dataset: name, citation, licence (None: its authors state none) and who states it.
_OF_MNIST = ("lecun1998", "CC-BY-SA-3.0", "The licence is as its distributors state it.")
DATASETS = {
    "mnist": ("MNIST", *_OF_MNIST),
    "mnist5k": ("5,000 images of MNIST", *_OF_MNIST),
    "fashion_mnist": ("Fashion-MNIST", "xiao2017", "MIT", "The licence is its authors'."),
    "cifar10": ("CIFAR-10", "krizhevsky2009", None, "Its authors state no licence."),
    "digits": ("Handwritten digits", "alpaydin1998", "CC-BY-4.0", "The licence is its archive's."),
}


def write(folder: Path, studies: Iterable[config.Study]) -> None:
    """Describe the finished folder of a report in its file `FILE`, which is written atomically.

    Parameters
    ----------
    folder : Path
        Has ``run.json`` and all else that belongs to the report.
    studies : iterable of Study
        Their papers are cited.

    Raises
    ------
    UserError
        If the references cannot be read.
    """
    record = files.read_json(folder / "run.json")
    graph = _Graph()
    root = graph.crate.root_dataset
    root["name"] = f"{graph.about['title']}: report of profile {record['profile']['profile']}"
    root["description"] = graph.about["abstract"].strip()
    root["license"] = graph.licence(graph.about["license"])
    root["author"] = graph.authors()
    root["datePublished"] = record["made"]
    root["citation"] = [graph.paper(study.citation) for study in studies]
    graph.add_files(folder)
    # A published run may have parts that were made at other times and on other machines.
    root["mentions"] = [graph.run(part) for part in (record, *record.get("earlier", []))]
    files.write_json(folder / FILE, graph.crate.metadata.generate())


def _references() -> dict[str, dict[str, Any]]:
    """Read the references by their keys, as CSL-JSON has them."""
    import pypandoc

    path = places.template() / "references.bib"
    command = [pypandoc.get_pandoc_path(), "--from=biblatex", "--to=csljson", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"{path}: pandoc cannot read it: {done.stderr.strip()}")
    return {entry["id"]: entry for entry in json.loads(done.stdout)}


class _Graph:
    """The entities of a crate; each is added when it is first asked for."""

    def __init__(self) -> None:
        from rocrate.rocrate import ROCrate

        self.about = citation.about()
        self.crate, self.references = ROCrate(version="1.2"), _references()

    def entity(self, which: str, kind: str, **properties: Any) -> Entity:
        """Return the entity of this address or, in the crate, name; a None is left out."""
        identifier = which if which.startswith("https://") else f"#{quote(which)}"
        if (known := self.crate.get(identifier)) is not None:
            return known
        given = {name: value for name, value in properties.items() if value is not None}
        return self.crate.add_jsonld({"@id": identifier, "@type": kind, **given})

    def licence(self, name: str) -> Entity:
        return self.entity(f"https://spdx.org/licenses/{name}", "CreativeWork", name=name)

    def authors(self) -> list[Entity]:
        named = {citation.name_of(one): one for one in self.about["authors"]}
        kinds = {name: "Organization" if "name" in one else "Person" for name, one in named.items()}
        return [self.entity(name, kind, name=name) for name, kind in kinds.items()]

    def paper(self, key: str) -> Entity:
        entry = self.references[key]
        where = f"https://doi.org/{entry['DOI']}" if "DOI" in entry else entry.get("URL", key)
        title, parts = re.sub("<[^>]*>", "", entry["title"]), ("given", "family", "literal")
        names = [" ".join(one[part] for part in parts if part in one) for one in entry["author"]]
        return self.entity(where, "ScholarlyArticle", name=title, author=names)

    def add_files(self, folder: Path) -> None:
        held: dict[str, list[Entity]] = {}
        for name, digest in files.checksums(folder).items():
            if name == FILE:
                continue
            size, kind = (folder / name).stat().st_size, FORMATS[Path(name).suffix]
            about = {"name": name, "encodingFormat": kind, "contentSize": str(size)}
            file = self.crate.add_file(dest_path=name, properties=about | {"sha256": digest})
            if "/" in name:
                held.setdefault(name.split("/")[0], []).append(file)
        for name, parts in held.items():
            self.crate.add_dataset(dest_path=name, properties={"name": name, "hasPart": parts})

    def run(self, record: dict[str, Any]) -> Entity:
        """Return the run of the workflow that a record is of: when, with what, from which data."""
        topics = [*record["studies"], *record.get("leaderboards", [])]
        seeds = record.get("published") or dict.fromkeys(topics, record["seeds"])
        listed = [f"{topic} {', '.join(map(str, found))}" for topic, found in seeds.items()]
        return self.entity(
            f"run {record['made']}",
            "CreateAction",
            name=f"The workflow ran the notebooks of profile {record['profile']['profile']}",
            description=f"Seeds: {'; '.join(listed)}.",
            startTime=min((one["started"] for one in record["notebooks"]), default=None),
            endTime=record["made"],
            agent=self.authors(),
            instrument=[self.software(record), self.machine(record["hardware"])],
            object=[self.data(data) for data in record["data"].values()],
            result=self.crate.root_dataset,
        )

    def software(self, record: dict[str, Any]) -> Entity:
        kind = "SoftwareApplication"
        changes = "with uncommitted changes" if record["dirty"] else None
        return self.entity(
            f"software of run {record['made']}",
            kind,
            name=self.about["title"],
            version=record["commit"],
            description=record["commit_reason"] or changes,
            license=self.licence(self.about["license"]),
            softwareRequirements=[
                self.entity(f"{name} {version}", kind, name=name, version=version)
                for name, version in record["versions"].items()
            ],
        )

    def machine(self, hardware: dict[str, Any]) -> Entity:
        words = "; ".join(f"{name}: {value or 'none'}" for name, value in hardware.items())
        return self.entity(words, "IndividualProduct", name=hardware["cpu"], description=words)

    def data(self, data: dict[str, Any]) -> Entity:
        name, citation, licence, who = DATASETS[data["dataset"]]
        return self.entity(
            f"{name}, {data['source']}",
            "Dataset",
            name=name,
            description=f"{data['n']} images. Source: {data['source']}. {who}",
            license=self.licence(licence) if licence else None,
            citation=self.paper(citation),
            identifier=[f"SHA-256 of {x}: {data[f'{x}_sha256']}" for x in ("images", "labels")],
        )
