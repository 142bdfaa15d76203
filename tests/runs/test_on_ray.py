"""Parts on Ray: lost workers, GPUs and interruptions change no byte of what one process makes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.command_line import Outcome, in_process
from tests.runs.tiny import PLUGIN, STUDY, tree

import mcd
from mcd.errors import DataError, UsageError
from mcd.files import MANIFEST
from mcd.runs.cluster import imported

OBSERVER = '''

@mcd.hookimpl
def mcd_on_event(event):
    """Note which GPU a worker was given; end one worker, once, in the middle of its images."""
    import signal
    import sys

    from mcd.events import StageAdvanced, StageStarted

    if not sys.argv[0].endswith("default_worker.py"):
        return
    if isinstance(event, StageStarted) and event.stage == "sweep" and not event.done:
        note("gpu", os.environ.get("CUDA_VISIBLE_DEVICES"))
        note("threads", torch.get_num_threads())
    if isinstance(event, StageAdvanced) and event.stage == "sweep" and "MCD_TEST_KILL" in os.environ:
        try:
            Path(os.environ["MCD_TEST_KILL"]).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
'''


class Made:
    """A folder with the plugin file and a study of two targets, and what one process makes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plugin, self.study = folder, folder / "tiny_on_ray.py", folder / "study.yaml"
        self.plugin.write_text(PLUGIN + OBSERVER)
        study = STUDY.replace("controls: true", "controls: false").replace("device: cpu", "device: auto")
        self.study.write_text(study.replace("[tiny, annotations]", "tiny") + "store: off\n")
        self.whole = folder / "whole"
        self.run(self.whole)

    def run(self, output: Path, engine: str | None = None, parts: int | None = None) -> list[mcd.Dissection]:
        files = [self.plugin]
        return mcd.run(self.study, output=output, engine=engine, parts=parts, plugin_files=files, progress=False)

    def same(self, output: Path) -> bool:
        """Whether a folder holds to a bit what one process made; manifests but for times and machine."""
        return tree(output) == tree(self.whole) and manifests(output) == manifests(self.whole)


def manifests(folder: Path) -> dict[str, object]:
    found = {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in folder.rglob(MANIFEST)}
    for one in found.values():
        del one["seconds"], one["machine"], one["checksum"]
    return found


def notes(path: Path, what: str) -> Counter[str]:
    return Counter(line.split()[1] for line in path.read_text().splitlines() if line.startswith(f"{what} "))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("on_ray"))


@pytest.fixture(scope="module")
def two_gpus() -> Iterator[None]:
    """Ray on this machine, which believes in two GPUs; `mcd.run` uses what its process is connected to."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            patch.setenv(name, "")
            patch.delenv(name)
        ray = imported(local=True)
        quiet = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
        ray.init("local", num_cpus=2, num_gpus=2, **quiet)
        yield
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_a_worker_that_is_killed_costs_its_part_and_no_byte(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill, noted = tmp_path / "kill", tmp_path / "notes"
    kill.touch()
    monkeypatch.setenv("MCD_TEST_KILL", str(kill))
    monkeypatch.setenv("MCD_TEST_NOTES", str(noted))
    found = made.run(tmp_path / "run", engine="ray")
    assert not kill.exists()
    assert [one.manifest.target for one in found] == ["first", "second"]
    assert made.same(tmp_path / "run")
    again = {int(one) for one, count in notes(noted, "decoded").items() if count > 1} - {0}
    assert again <= set(range(1, 193)) or again <= set(range(192, 333))  # of one of the two parts
    assert set(notes(noted, "gpu")) == {"0", "1"}
    assert set(notes(noted, "threads")) == {str(torch.get_num_threads())}


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_targets_of_too_few_parts_go_to_gpus_of_their_own(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "notes"
    monkeypatch.setenv("MCD_TEST_NOTES", str(noted))
    made.run(tmp_path / "run", engine="ray", parts=1)
    assert notes(noted, "gpu") == {"0": 1, "1": 1}
    assert made.same(tmp_path / "run")


@pytest.mark.nightly
@pytest.mark.usefixtures("two_gpus")
def test_what_a_part_raises_is_said_as_one_process_says_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(made.study.read_text().replace("on_error: skip", "on_error: stop"))
    with pytest.raises(DataError, match="images cannot be used"):
        mcd.run(study, output=tmp_path / "run", engine="ray", plugin_files=[made.plugin], progress=False)
    with pytest.raises(UsageError, match="too few for 7 parts"):
        made.run(tmp_path / "run", engine="ray", parts=7)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    with pytest.raises(UsageError, match="computes with 3 threads, and no machine of the cluster has as many cores"):
        made.run(tmp_path / "run", engine="ray")


@pytest.mark.nightly
@pytest.mark.usefixtures("two_gpus")
def test_a_dissection_by_annotations_in_python_is_the_same_on_ray(made: Made, tmp_path: Path) -> None:
    def dissected(name: str, engine: str | None) -> Path:
        return mcd.dissect(
            "first",
            layers="two",
            dissector="annotations",
            dataset="tiny-images",
            calibration={"draws": 20, "most_draws": 20},
            batch_size=8,
            workers=0,
            on_error="skip",
            output=tmp_path / name,
            engine=engine,
            plugin_files=[made.plugin],
            progress=False,
        ).folder

    one, other = dissected("one", None), dissected("other", "ray")
    assert tree(one) == tree(other)
    assert manifests(one) == manifests(other)


def test_objects_of_python_are_not_sent_to_workers(tmp_path: Path) -> None:
    def refused(said: str, **changed: Any) -> None:
        given = {"dissector": "phantom-clip", "dataset": "phantom:3", "progress": False, "engine": "ray", **changed}
        with pytest.raises(UsageError, match=said):
            mcd.dissect("phantom-mammo", layers="head", **given)

    refused("concepts: an object of this process has no name", concepts=["mass"], output=tmp_path / "run")
    refused("scorer: an object of this process has no name", scorer=lambda a, p: a.T @ p, output=tmp_path / "run")
    refused("a run on Ray needs a folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.nightly
def test_an_interrupted_command_leaves_what_is_whole_and_goes_on(made: Made, tmp_path: Path) -> None:
    noted, words = tmp_path / "notes", ["run", made.study, "--plugin-file", made.plugin, "-o", tmp_path / "run", "-q"]
    command = [sys.executable, "-m", "mcd", *map(str, words), "--engine", "ray", "--parts", "2"]
    noted.touch()
    environment = {**os.environ, "MCD_TEST_NOTES": str(noted)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while running.poll() is None and notes(noted, "decoded").total() < 150:
        pass
    running.send_signal(signal.SIGINT)
    said = running.communicate()[1]
    assert running.returncode == 130, said
    assert not (tmp_path / "run").exists()
    before = notes(noted, "decoded")
    done = in_process(*words, "--engine", "ray", MCD_TEST_NOTES=str(noted))
    assert done.code == 0, done.err
    assert len(list((tmp_path / "run.parts").iterdir())) == 2
    assert (notes(noted, "decoded") - before).total() < 333 - 64  # a shard, at least, was whole
    assert made.same(tmp_path / "run")


@pytest.mark.nightly
def test_a_cluster_is_used_by_its_address(made: Made, tmp_path: Path) -> None:
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, head = free.getsockname()[1], other.getsockname()[1]
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
    own["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray = Path(sys.executable).with_name("ray")
    start = [ray, "start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false", f"--port={head}"]
    words = [*start, f"--ray-client-server-port={port}"]
    cluster = subprocess.Popen(words, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        flags = made.study, "--plugin-file", made.plugin, "-o", tmp_path / "run", "-q"
        done = in_process("run", *flags, "--engine", f"ray://127.0.0.1:{port}", **own)
        assert done.code == 0, done.err
        assert made.same(tmp_path / "run")
    finally:
        cluster.terminate()
        cluster.wait()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--engine", "slurm"), "there is no engine 'slurm'"),
        (("--engine", "ray://"), "there is no engine 'ray://'"),
        (("--engine", "ray", "--part", "1/2"), "--part computes one part, --engine all of them"),
        (("--parts", "2"), "parts are of a run that an engine computes"),
    ],
)
def test_engines_that_do_not_exist_or_fit_are_refused(
    flags: tuple[str, ...], said: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    given = "--model", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--dataset", "phantom:3"
    done = mcd_command("dissect", *given, "-o", tmp_path / "run", *flags)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not list(tmp_path.iterdir())


def test_where_ray_is_missing_its_command_is_said(
    tmp_path: Path, mcd_command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    given = "--model", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--dataset", "phantom:3"
    done = mcd_command("dissect", *given, "-o", tmp_path / "run", "--engine", "ray")
    assert done.code == 3
    assert "python -m pip install 'mammo-clip-dissect[ray]'" in " ".join(done.err.split())
    assert not list(tmp_path.iterdir())
