"""Personal settings and other folders: none of them reaches a result."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from made_notebooks import write_notebook

from commands import hermetic
from utils import figures, places
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import pretrained
from utils.store import origins

RUNNER = """
import sys
from pathlib import Path
from commands.notebook import run_notebook
folder = Path(sys.argv[1])
run_notebook(folder / "notebooks/a.py", {"run_dir": "../run"}, folder / "run", print)
"""
CHECK = """
import builtins, os, sys
from pathlib import Path
import utils
import matplotlib as mpl
found = {
    "package": list(utils.__path__),
    "leaked": hasattr(builtins, "leaked"),
    "git": os.environ.get("GIT_DIR"),
    "usetex": mpl.rcParams["text.usetex"],
    "inline": "inline" in mpl.get_backend(),
}
expected = {"package": [%r], "leaked": False, "git": None, "usetex": False, "inline": True}
assert found == expected, found
Path(run_dir, "manifest.json").write_text("{}")
"""
LEAK = "import builtins; builtins.leaked = True"


def test_a_kernel_has_nobodys_settings(tmp_path, faults):
    home, folder = tmp_path / "home", tmp_path / "notebooks"
    write_notebook(folder / "a.py", CHECK % str(ROOT / "src/utils"))
    for ipython in (home / ".ipython", tmp_path / "ipython"):
        (ipython / "profile_default/startup").mkdir(parents=True)
        (ipython / "profile_default/startup/00.py").write_text(LEAK)
        (ipython / "profile_default/ipython_kernel_config.py").write_text(LEAK)
    for settings in (home / ".config/matplotlib", tmp_path / "matplotlib"):
        settings.mkdir(parents=True)
        (settings / "matplotlibrc").write_text("text.usetex: True\nbackend: TkAgg\n")
    (tmp_path / "startup.py").write_text(LEAK)
    for name in ("utils", "numpy"):
        (folder / f"{name}.py").write_text("raise ImportError('shadowed')")
    own = {
        "HOME": str(home),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "MPLBACKEND": "TkAgg",
        "PYTHONSTARTUP": str(tmp_path / "startup.py"),
        "GIT_DIR": "/nowhere",
    }
    for _ in range(6):
        faults.tried()
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUNNER, str(tmp_path)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for _ in range(6):
        faults.survived()


def test_a_figure_is_drawn_in_the_reports_style_alone(faults):
    faults.tried()
    with mpl.rc_context({"text.usetex": True, "savefig.bbox": "tight", "lines.linewidth": 9}):
        figures.use_style()
        for name in ("text.usetex", "savefig.bbox", "lines.linewidth"):
            assert mpl.rcParams[name] == mpl.rcParamsDefault[name]
    faults.survived()


def test_git_tells_of_this_checkout_whatever_the_variables_name(tmp_path, monkeypatch, faults):
    before = origins.git_state(ROOT)[0]
    faults.tried()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    hermetic.leave_out_personal_settings()
    assert origins.git_state(ROOT)[0] == before
    assert Path(os.environ["MATPLOTLIBRC"]).is_file()
    faults.survived()


@pytest.mark.parametrize("name", hermetic.PATHS)
def test_a_relative_path_counts_from_the_folder_of_the_command(tmp_path, monkeypatch, faults, name):
    faults.tried()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "mine")
    hermetic.make_paths_absolute()
    assert os.environ[name] == str(tmp_path / "mine")
    faults.survived()


def test_elsewhere_a_relative_path_counts_from_the_repository(tmp_path, monkeypatch, faults):
    """As in a kernel that somebody else has started, whatever its folder is."""
    faults.tried()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", "mine")
    assert places.data_dir() == ROOT / "mine"
    monkeypatch.setenv("RESNET50_WEIGHTS", "mine/weights.pth")
    with pytest.raises(UserError, match=f"there is no file {ROOT}/mine/weights.pth"):
        pretrained.load_backbone("resnet50")
    faults.survived()
