"""The SLURM launcher: what it would submit, what it refuses, and jobs on a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from r1_launch import node
from r1_launch.queue import gpus_of_a_node
from r1_launch.records import exit_code, read_job, recorded
from r1_launch.script import ENDED
from r1_launch.site import seconds
from r1_launch.slurm import slurm
from r1cli import Job, UsageError


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """`site(text)` writes the site file; before that there is none."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("R1_SITE", raising=False)

    def write(text: str) -> Path:
        path = tmp_path / "config" / "r1" / "site.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def job(processes: int = 1, *, directory: str = "runs/x") -> Job:
    argv = ("train", "grpo", "--recipe", f"{directory}/recipe.resolved.yaml", "--run", directory)
    return Job(argv, processes, "ddp", Path(directory))


def directives(script: str) -> list[str]:
    return [line[8:] for line in script.splitlines() if line.startswith("#SBATCH ")]


# -- how a job ended -----------------------------------------------------------------------------


@pytest.mark.parametrize(("third", "whole"), [(3, 3), (0, 0)])
def test_an_array_has_ended_well_once_every_task_has(tmp_path, third, whole):
    """The last task to end says nothing of those before it."""

    def end(task: int, code: int) -> None:
        said = {"SLURM_JOB_ID": str(90 + task), "SLURM_ARRAY_JOB_ID": "12", "R1_JOB": str(tmp_path)}
        said |= {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "3"}
        env = {**os.environ, **said}
        subprocess.run(["bash", "-c", f"{ENDED}\nexit {code}"], env=env, check=False)

    end(0, 0)
    end(2, third)
    assert exit_code(tmp_path, "12") == (third or None), "task 1 goes on"
    end(1, 0)
    assert exit_code(tmp_path, "12") == whole
    assert [exit_code(tmp_path, f"12_{task}") for task in range(4)] == [0, 0, third, None]
    assert exit_code(tmp_path, "13") is None


def test_a_job_json_of_others_hides_no_job_of_ours(tmp_path):
    ours = {"id": "7", "name": "r1-x", "nodes": 1, "log": "x.log"}
    for name, text in ("a", '{"id": 3}'), ("b", "[1]"), ("c", "{"), ("d", json.dumps(ours)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text(text)
    assert recorded(tmp_path) == [(tmp_path / "d", ours)]
    with pytest.raises(
        UsageError, match="a/job.json is not a job of r1: it lacks name, nodes, log"
    ):
        read_job(tmp_path / "a")


# -- what would be submitted ---------------------------------------------------------------------


def test_the_command_is_sbatch_with_the_arguments_of_r1_train():
    command = slurm().command(job())
    assert command == ["sbatch", "--parsable", "runs/x/job.slurm", *job().argv[1:]]


def test_without_a_site_file_nothing_is_said_of_any_cluster():
    flags = directives(slurm().script(job()))
    assert {f.partition("=")[0] for f in flags} == {
        *("--job-name", "--comment", "--output", "--nodes", "--ntasks", "--requeue"),
        *("--open-mode", "--signal"),
    }


@pytest.mark.parametrize("time", ["24:00:00", "2-12", "90"])
def test_a_time_limit_is_said_as_slurm_says_it(r1, time):
    shown = r1("jobs", "submit", "router", "--launch", f"time={time}", "--dry-run")
    assert f"#SBATCH --time={time}\n" in shown.stderr


def test_a_key_of_the_site_file_that_is_left_empty_says_nothing(site):
    unsaid = slurm().script(job())
    site("partition:\naccount: null\ngpus_per_node: ~\nmodules:\nsetup: \nsbatch: ''\n")
    assert slurm().script(job()) == unsaid


def test_the_site_file_says_what_every_job_gets_and_the_recipe_goes_first(site):
    site(
        "{partition: gpu, account: me, time: 24:00:00, gpus_per_node: 8, cpus_per_task: 96,\n"
        " modules: [cuda/12.8], setup: [export A=1], sbatch: [--exclusive], memory: 0}"
    )
    script = slurm(partition="debug", nodes=2).script(job(16))
    flags = directives(script)
    wanted = "--partition=debug --account=me --time=24:00:00 --gres=gpu:8 --cpus-per-task=96"
    assert {*wanted.split(), "--mem=0", "--exclusive", "--nodes=2"} <= set(flags)
    assert script.index("module load cuda/12.8") < script.index("export A=1") < script.index("srun")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("time", "length"),
    [("90", 5400), ("10:30", 630), ("1:00:00", 3600), ("1-12", 129600), ("1-0:30", 88200)],
)
def test_time_limits_are_read_as_slurm_reads_them(time, length):
    assert seconds(time) == length


def test_a_short_job_is_not_told_to_stop_as_soon_as_it_starts():
    assert "--signal=B:USR1@300" in directives(slurm(time="1:00:00").script(job()))
    assert "--signal=B:USR1@60" in directives(slurm(time="4").script(job()))
    assert "--signal=B:USR1@9" in directives(slurm(time="4", signal_seconds=9).script(job()))


def test_ranks_are_those_that_the_nodes_hold(site):
    assert slurm(nodes=2).processes == 2
    site("gpus_per_node: 8")
    assert slurm(nodes=4).processes == 32
    assert slurm(nodes=4, serve="r1 serve M", serve_nodes=1).processes == 24


def test_serving_nodes_come_before_the_training_ones(site):
    site("gpus_per_node: 8")
    launcher = slurm(nodes=4, serve="r1 serve 'M 1'", serve_nodes=1)
    script = launcher.script(job(24))
    assert "export R1_SERVE='r1 serve '\"'\"'M 1'\"'\"''\n" in script
    assert "export R1_SERVE_NODES=1\n" in script


def test_the_dry_run_shows_the_script(r1):
    command = ("train", "grpo", "--recipe", "tiny/grpo", "--on", "slurm", "--nodes", "2")
    shown = r1(*command, "--dry-run")
    assert "command: sbatch --parsable runs/tiny-grpo/job.slurm grpo --recipe" in shown.stderr
    assert "#SBATCH --nodes=2\n" in shown.stderr
    assert "processes: 2\n" in shown.stdout, "a rank per node without GPUs"
    assert not Path("runs").exists()


def test_eval_and_generate_go_the_same_way(r1):
    shown = r1(
        *("eval", "chain_sums", "--model", "m o", "--n", "4", "--json"),
        *("--on", "slurm", "--launch", "time='1:00:00'", "--dry-run"),
    )
    wanted = "sbatch --parsable 'runs/eval/m o/job.slurm' chain_sums --model 'm o' --n 4 --json\n"
    assert wanted in shown.stderr
    assert "#SBATCH --time=1:00:00\n" in shown.stderr
    shown = r1("generate", "--model", "m", "--out", "o.jsonl", "--on", "slurm", "--dry-run")
    assert "sbatch --parsable o.jsonl.job/job.slurm --out o.jsonl --model m\n" in shown.stderr


# -- what is refused -----------------------------------------------------------------------------


def test_a_typo_in_the_site_file_names_the_nearest_key(site):
    path = site("partion: gpu\n")
    with pytest.raises(UsageError) as error:
        slurm()
    assert str(error.value) == (
        f"unknown key 'partion' in the site file {path}; did you mean 'partition'?"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpus_per_node: many", "gpus_per_node is 'many' in the site file"),
        ("partition: [a]", "it takes text"),
        ("setup: [[a]]", "it takes a list of lines"),
        ("- a", "is no list of keys and values"),
        ("a: [", "cannot be read: while parsing"),
    ],
)
def test_a_site_file_that_is_wrong_is_told_in_one_line(site, text, words):
    site(text)
    with pytest.raises(UsageError, match=words) as error:
        slurm()
    assert "\n" not in str(error.value)


def test_a_site_file_that_was_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("R1_SITE", str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read"):
        slurm()


def test_ranks_that_the_nodes_cannot_share_are_refused():
    with pytest.raises(UsageError, match="processes 3 cannot be shared by 2 training nodes"):
        slurm(nodes=2).command(job(3))
    with pytest.raises(UsageError, match=r"16 ranks on each node, which has 8 GPUs .*use 2 nodes"):
        slurm(gpus_per_node=8).command(job(16))


def test_serving_leaves_a_node_to_train():
    with pytest.raises(UsageError, match="of 2 nodes at least one must train"):
        slurm(nodes=2, serve="r1 serve M", serve_nodes=2)
    with pytest.raises(UsageError, match="serve and serve_nodes go together"):
        slurm(nodes=2, serve_nodes=1)


def test_without_slurm_the_error_says_so(r1, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    from r1cli import ProviderError

    with pytest.raises(ProviderError, match="squeue is not on PATH, so this machine cannot"):
        slurm().submit(job(directory=str(tmp_path / "run")))
    listed = r1("jobs", "list")
    assert listed.exit_code == 5
    assert "squeue is not on PATH" in listed.stderr


def test_a_launcher_that_waits_has_no_jobs(r1):
    listed = r1("jobs", "list", "--on", "local")
    assert (listed.exit_code, listed.stderr) == (
        2,
        "error: launcher 'local' at --on keeps no queue: it waits for its jobs\n",
    )


# -- on a node -----------------------------------------------------------------------------------


def test_each_node_says_its_own_number(monkeypatch):
    monkeypatch.setattr(node, "hostnames", lambda names: ["a1", "a2"])
    monkeypatch.setattr(node, "show", lambda kind, name: {"NodeAddr": f"{name}.net"})
    environment = {
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_NODEID": "1",
        "SLURM_STEP_NODELIST": "a[1-2]",
        "SLURM_JOB_ID": "77",
    }
    command = node.node_command(job(4), environment, port=0)
    assert command[1:3] == ["-m", "r1_launch.agent"]
    place = ["--num_machines=2", "--machine_rank=1", "--main_process_ip=a1.net"]
    at = command.index(place[0])
    assert command[at : at + 4] == [*place, "--main_process_port=20077"]
    assert command.index("--num_machines=1") < at < command.index("--module")


def test_a_restarted_job_meets_at_another_port():
    first = node.port_of({"SLURM_JOB_ID": "77"})
    again = node.port_of({"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "1"})
    assert first != again
    assert all(20000 <= port < 32768 for port in (first, again))


def test_a_port_that_is_taken_is_told_by_the_first_node():
    import socket

    refused = pytest.raises(UsageError, match="set launch.args.port to a free one")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        node._refuse_taken("a1", taken.getsockname()[1])


# -- on a real cluster ---------------------------------------------------------------------------


def test_submit_list_logs_cancel(slurm_env, r1):
    sent = r1("jobs", "submit", "router", "--directory", "runs/a router", "--", "--port", "0")
    number = sent.stdout.strip()
    assert sent.stderr == (
        f"submitted as job {number}; to follow it: r1 jobs logs 'runs/a router' -f\n"
    )
    [row, *_] = json.loads(r1("jobs", "list", "--json").stdout)
    assert (row["job"], row["name"], row["nodes"]) == (number, "r1-a router", 1)
    assert row["directory"] == str(Path("runs/a router").resolve())

    again = r1("jobs", "submit", "router", "--directory", "runs/a router")
    assert again.exit_code == 2
    assert f"runs/a router is job {number} already (" in again.stderr
    Path("runs/a router/job.json").rename("job.json")  # as if killed before it was written
    again = r1("jobs", "submit", "router", "--directory", "runs/a router")
    assert again.stderr.endswith(f"); to end it: r1 jobs cancel {number}\n")
    Path("job.json").rename("runs/a router/job.json")

    slurm_env.wait_for(number, "RUNNING")
    assert r1("jobs", "list", "--root", "no").stdout.count("RUNNING") == 1
    assert r1("jobs", "cancel", "runs/a router").stderr == f"cancelled job {number}\n"
    slurm_env.wait_for(number, "CANCELLED")
    assert "CANCELLED" in r1("jobs", "list").stdout
    assert f"r1: job {number}: CANCELLED" in r1("jobs", "logs", number).stderr
    assert "has ended already: CANCELLED" in r1("jobs", "cancel", number).stderr


def test_a_job_that_fails_shows_its_exit_code_and_the_end_of_its_log(slurm_env, r1):
    r1("jobs", "submit", "eval", "no_such", "--directory", "job")
    followed = r1("jobs", "logs", "job", "-f")
    assert "error: give either --model or --completions" in followed.stdout
    assert "FAILED" in followed.stderr and ", exit code 2\n" in followed.stderr


def test_tasks_of_an_array_have_their_own_logs(slurm_env, r1):
    launch = ("--launch", "sbatch=[--array=0-1]", "--directory", "job")
    number = r1("jobs", "submit", "eval", "no_such", *launch).stdout.strip()
    slurm_env.wait_for(number, "FAILED")
    assert sorted(p.name for p in Path("job").glob("*.log")) == [
        f"slurm-{number}_{task}.log" for task in (0, 1)
    ]
    shown = r1("jobs", "logs", f"{number}_1")
    assert "error: give either" in shown.stdout
    assert f"r1: job {number}_1: FAILED" in shown.stderr
    assert "error: give either" in r1("jobs", "logs", "job").stdout


def test_of_an_array_the_task_that_went_wrong_is_shown(slurm_env, r1):
    """Tasks 1 and 2 of generate: no task 0, and both say that this is no whole array."""
    launch = ("--launch", 'sbatch=["--array=1,2"]', "--directory", "my_job")
    number = r1("jobs", "submit", "generate", *launch).stdout.strip()
    slurm_env.wait_for(number, "FAILED")
    shown = r1("jobs", "logs", "my_job")
    assert "error: an --array that is whole is 0-1" in shown.stdout
    assert f"r1: job {number}: FAILED" in shown.stderr and "exit code 2" in shown.stderr


def test_slurm_refuses_in_its_own_words(slurm_env, r1):
    refused = r1("jobs", "submit", "router", "--launch", "partition=nope", "--directory", "job")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: sbatch: invalid partition specified: nope; "
        "allocation failure: Invalid partition name specified\n"
    )
    train = ("train", "grpo", "--recipe", "tiny/grpo", "--on", "slurm", "--run", "run")
    assert "invalid partition" in r1(*train, "--set", "launch.args.partition=nope").stderr
    assert not Path("run").exists(), "another partition is no other recipe"


def test_more_gpus_than_a_node_has_are_refused(slurm_env, r1):
    assert gpus_of_a_node("low") == 2
    refused = r1("jobs", "submit", "eval", "--launch", "gpus_per_node=3", "--directory", "job")
    assert refused.stderr == (
        "error: gpus_per_node is 3; a node of this cluster has 2 GPUs at most\n"
    )


def test_a_job_that_the_queue_forgot_is_known_from_its_directory(slurm_env, r1):
    folder = Path("runs/old")
    folder.mkdir(parents=True)
    old = {"id": "999999", "name": "r1-old", "nodes": 1, "log": "gone", "submitted": ""}
    (folder / "job.json").write_text(json.dumps(old))
    assert json.loads(r1("jobs", "list", "--json").stdout)[-1]["state"] == "KILLED"
    (folder / "job.ended").write_text("999999 0 0\n")
    assert json.loads(r1("jobs", "list", "--json").stdout)[-1]["state"] == "COMPLETED"
    assert "COMPLETED, exit code 0; no log yet" in r1("jobs", "logs", "999999").stderr
