"""The image and the compose file, as far as that can be told without a Docker engine: form, doors and secrets."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from ports import free_port, wait_until

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
DOCKERFILE = ROOT / "docker" / "Dockerfile"
BIN = Path(sys.executable).parent
STORES = {"postgres", "valkey", "storage"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE.read_text("utf-8"))


def check(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def test_the_compose_file_is_one():
    done = check(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    assert done.returncode == 0, done.stdout


def test_a_misspelt_compose_file_would_be_found(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text("utf-8").replace("healthcheck:", "healthchek:", 1), "utf-8")
    assert check(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", wrong).returncode == 1


def test_the_linter_finds_nothing_in_the_dockerfile():
    done = check(BIN / "hadolint", "--no-color", "--failure-threshold", "style", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_in_stages_locked_compiled_and_runs_without_root():
    text = DOCKERFILE.read_text("utf-8")
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    syncs = re.findall(r"uv sync (.*)", text)
    assert syncs
    assert all({"--locked", "--no-dev", "--compile-bytecode"} <= set(sync.split()) for sync in syncs)
    assert re.findall(r"^USER (\d+)", text, re.MULTILINE)[-1] != "0"


def test_what_the_image_copies_exists_and_is_sent_to_the_builder():
    allowed = {line[1:] for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"}
    copied = {
        word
        for words in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
        for word in words.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_one_door_is_open_and_only_to_this_machine(compose):
    doors = [(name, port) for name, service in compose["services"].items() for port in service.get("ports", ())]
    assert doors == [("api-server", "127.0.0.1:18080:8080")]


def test_stores_are_on_internal_networks_only(compose):
    internal = {name for name, network in compose["networks"].items() if network.get("internal")}
    for name in STORES:
        assert set(compose["services"][name]["networks"]) <= internal
    reach = {name for name, service in compose["services"].items() if "store" in service["networks"]}
    assert reach == {"storage", "init", "api-server", "worker"}


def test_no_secret_is_in_the_file_and_none_may_be_missing(compose):
    text = COMPOSE.read_text("utf-8")
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    required = set(re.findall(r"(?<!\$)\$\{(\w+):\?", text))
    assert used == required == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"}
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY", name):
                assert re.fullmatch(r"\$\{\w+\}", value)
    assert (ROOT / "docker" / ".gitignore").read_text().split("\n")[-2] == ".env"


def test_every_server_says_whether_it_is_healthy(compose):
    assert {name for name, service in compose["services"].items() if "healthcheck" not in service} == {"init"}
    assert set(compose["services"]["init"]["depends_on"]) == STORES


def test_celery_runs_the_tasks(compose):
    for name in ("scheduler", "worker", "api-server", "dag-processor", "triggerer"):
        assert compose["services"][name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert "worker" in compose["services"]["worker"]["command"]


def accepts(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def test_of_the_store_other_containers_reach_s3_alone_and_it_asks_for_a_key(compose, tmp_path):
    """The store's own command, run here (but for its gRPC): 127.0.0.2 stands for its address on the network."""
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [word.replace("0.0.0.0", "127.0.0.2") for word in compose["services"]["storage"]["command"]]
    command = [word for word in command if not word.startswith("-s3.port=")]
    command[command.index("-dir=/data")] = f"-dir={tmp_path}"
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += [f"-{name}.port.grpc={free_port()}" for name in ports]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [BIN / "weed", *command],
            env={"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hidden-word", "HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
            cwd=tmp_path,
        )
        try:
            wait_until(
                lambda: accepts("127.0.0.2", ports["s3"]) and accepts("127.0.0.1", ports["filer"]), "the store", server
            )
            open_to_others = {name for name, port in ports.items() if accepts("127.0.0.2", port)}
            stranger = httpx.put(f"http://127.0.0.2:{ports['s3']}/bucket")
        finally:
            server.kill()  # nothing it holds is wanted, and it takes 20 s to say goodbye
            server.wait()
    assert open_to_others == {"s3"}
    assert stranger.status_code == 403
