"""A real SLURM cluster of two nodes on loopback, one per session."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    from slurm_cluster import Cluster, why_not

    if reason := why_not():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture
def slurm_env(cluster, monkeypatch, tmp_path):
    """This process as a user of the cluster, without a site file, in a folder of its own."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("R1_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    yield cluster
    cluster.clear()
