"""Times, durations, hashes and image names in the forms Kubernetes writes."""

from datetime import UTC, datetime

import pytest

from kubernaut.localcluster.controllers.hashing import template_hash, without_hash
from kubernaut.localcluster.controllers.images import full_name, image_id, is_valid, pull_fault
from kubernaut.localcluster.controllers.moments import go_duration, micro_stamp, moment, stamp


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (1, "1s"), (1.25, "1.25s"), (10, "10s"), (80, "1m20s"), (300, "5m0s"), (3725, "1h2m5s")],
)
def test_durations_as_go_prints_them(seconds, text):
    assert go_duration(seconds) == text


def test_times_are_utc_in_whole_seconds_or_with_six_decimals():
    when = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
    assert stamp(when) == "2026-01-02T03:04:05Z"
    assert micro_stamp(when) == "2026-01-02T03:04:05.600000Z"
    assert moment(micro_stamp(when)) == when


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("local/app:1", "docker.io/local/app:1"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("registry.example/a/b:2", "registry.example/a/b:2"),
        ("localhost/app@sha256:" + "a" * 64, "localhost/app@sha256:" + "a" * 64),
    ],
)
def test_full_image_names(image, name):
    assert full_name(image) == name
    assert is_valid(image)


@pytest.mark.parametrize("image", ["", "App:1", "a b", "app:", "app:1:2"])
def test_what_is_no_image_name(image):
    assert not is_valid(image)


@pytest.mark.parametrize(
    ("why", "ending"),
    [
        ("notFound", '"registry.example/a:1": registry.example/a:1: not found'),
        ("denied", "insufficient_scope: authorization failed"),
        ("unreachable", 'Head "https://registry.example/v2/a/manifests/1": dial tcp: lookup registry.example: no such host'),
    ],
)
def test_a_failed_pull_in_the_words_of_containerd(why, ending):
    assert pull_fault("registry.example/a:1", why).endswith(ending)


def test_ids_and_hashes_follow_from_what_they_name():
    assert image_id("nginx") == image_id("docker.io/library/nginx:latest")
    one, two = {"spec": {"a": 1, "b": 2}}, {"spec": {"b": 2, "a": 1}}
    assert template_hash(one) == template_hash(two)
    assert template_hash(one) != template_hash(one, 1)
    labelled = {"metadata": {"labels": {"app": "x", "pod-template-hash": "1"}}, "spec": {}}
    assert without_hash(labelled) == {"metadata": {"labels": {"app": "x"}}, "spec": {}}
