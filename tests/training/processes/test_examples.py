"""The examples for several machines start what they say, with stand-ins for what starts it there."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[3] / "examples"


def told_by(script: str, place: Path, stand_ins: dict[str, str], variables: dict[str, str]) -> list[str]:
    """The lines of an example run with stand-ins for the commands it uses, one for torchrun among them."""
    for name, does in {**stand_ins, "torchrun": 'echo "$@"'}.items():
        (place / name).write_text(f"#!/bin/bash\n{does}\n")
        (place / name).chmod(0o755)
    command = ["bash", str(EXAMPLES / script), "student.yaml", "seed=1"]
    environment = variables | {"PATH": f"{place}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_slurm_script_starts_torchrun_once_on_each_machine(tmp_path: Path) -> None:
    slurm = {"JOB_ID": "4711", "JOB_NODELIST": "n[7-8]", "NNODES": "2", "GPUS_ON_NODE": "4"}
    variables = {f"SLURM_{name}": value for name, value in slurm.items()}
    stand_ins = {"scontrol": "printf 'n7\\nn8\\n'", "srun": '"$@"'}
    (line,) = told_by("slurm.sh", tmp_path, stand_ins, variables)
    assert line.split() == [
        "--nnodes", "2", "--nproc-per-node", "4", "--rdzv-backend", "c10d", "--rdzv-endpoint", "n7:30211",
        "--rdzv-id", "4711", "--max-restarts", "3", "-m", "sedistill", "train", "student.yaml", "seed=1",
    ]  # fmt: skip


def test_the_ssh_script_starts_torchrun_once_on_each_machine(tmp_path: Path) -> None:
    """In the same folder, whatever its name."""
    place = tmp_path / "a b"
    place.mkdir()
    stand_ins = {"ssh": 'echo "$2 $(cd / && eval "$3" && pwd)"'}
    lines = told_by("ssh.sh", place, stand_ins, {"HOSTS": "n7 n8", "PROCESSES": "4", "RUN": "5"})
    words = (
        "--nnodes 1:2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint n7:29500 --rdzv-id 5 "
        "--max-restarts 3 -m sedistill train student.yaml seed=1"
    )
    assert sorted(lines) == ["RUN=5", f"n7 {words}", f"n8 {words}"]


def started_by(job: dict[str, Any], index: int) -> list[str]:
    """The command of the pod of this number, variables filled in as Kubernetes does."""
    (container,) = job["template"]["spec"]["containers"]
    return [word.replace("$(JOB_COMPLETION_INDEX)", str(index)) for word in container["command"]]


def test_the_kubernetes_job_starts_torchrun_once_in_each_pod() -> None:
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    name, spec = job["metadata"]["name"], job["spec"]
    pod = spec["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 2
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": name}
    assert service["metadata"]["name"] == pod["subdomain"]
    assert pod["terminationGracePeriodSeconds"] > 30, "that long torchrun leaves its processes after SIGTERM"
    mounted = {place["name"] for place in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert started_by(spec, 1) == [
        "torchrun", f"--nnodes={spec['completions']}", "--node-rank=1", "--nproc-per-node=4",
        f"--master-addr={name}-0.{pod['subdomain']}", "--master-port=29500", "--max-restarts=0",
        "-m", "sedistill", "train", "MINE.yaml",
    ]  # fmt: skip
