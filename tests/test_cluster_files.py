"""The files that start a run on a cluster are well-formed, and their options are stnas's."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from stnas.cli.parser import parse

FOLDER = Path(__file__).parents[1] / "examples/cluster"
SBATCH, MANIFEST = FOLDER / "stnas.sbatch", FOLDER / "stnas.yaml"


def words_of_torchrun() -> dict[str, list[str]]:
    text = SBATCH.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^srun torchrun (.*)$", text, re.MULTILINE)
    job = list(yaml.safe_load_all(MANIFEST.read_text()))[1]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["torchrun"]
    return {"slurm": shlex.split(line), "kubernetes": container["args"]}


def test_the_script_of_slurm_is_a_shell_script_with_directives():
    subprocess.run(["bash", "-n", str(SBATCH)], check=True)
    head = SBATCH.read_text().partition("\nset -euo")[0].splitlines()
    assert head[0] == "#!/usr/bin/env bash"
    given = [line for line in head if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=[\w:@]+)?", line) for line in given)
    assert {"--nodes=4", "--ntasks-per-node=1", "--gpus-per-node=8"} <= {
        line.split()[1] for line in given
    }


def test_the_script_of_slurm_wants_its_two_folders():
    done = subprocess.run(
        ["bash", str(SBATCH)], capture_output=True, text=True, env={"PATH": "/bin"}
    )
    assert done.returncode != 0
    assert "the run folder" in done.stderr


def test_the_manifest_is_a_service_and_a_job_that_find_each_other():
    service, job = yaml.safe_load_all(MANIFEST.read_text())
    assert (service["kind"], job["kind"], service["spec"]["clusterIP"]) == (
        "Service",
        "Job",
        "None",
    )
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    (container,) = pod["containers"]
    words = container["args"]
    assert int(words[words.index("--nnodes") + 1]) == job["spec"]["completions"]
    limits = container["resources"]["limits"]
    assert int(words[words.index("--nproc-per-node") + 1]) == limits["nvidia.com/gpu"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("cluster", ["slurm", "kubernetes"])
def test_what_is_started_is_a_run_on_gpus(cluster, monkeypatch, tmp_path):
    words = words_of_torchrun()[cluster]
    assert words[words.index("--rdzv-backend") + 1] == "c10d"
    own = words[words.index("--") + 1 :]
    assert own[:2] == ["stnas", "run"]
    own = [word.replace("$RUN", str(tmp_path)).replace("$DATA", "images") for word in own[1:]]
    config = parse(own).config
    assert (config.device, config.space.profile) == ("cuda", "imagenet")
    assert config.train.precision == "bfloat16"
