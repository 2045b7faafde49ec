"""Shared by every test: what it needs, where the development data is, and the same random choices every time.

    @pytest.mark.needs("dciodvfy")                   skipped with a reason where it is absent
    @pytest.mark.needs("shared:data/si_joint/1007")  one part of the development data
    def test_x(shared: Path): shared / "data" / "si_joint" / "1007"

In a helper that runs at collection: ``from needs import shared_root, why_missing, program``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from needs import required, shared_root, why_missing

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

settings.register_profile(
    "marrowscope",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no failure
)
settings.load_profile("marrowscope")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tool is absent, or fail it when that tool is required."""
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            if not (reason := why_missing(tool)):
                continue
            if tool.partition(":")[0] in required():
                pytest.fail(f"required by MARROWSCOPE_REQUIRE, but {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture
def shared() -> Path:
    """The folder of development data; use with the mark ``needs("shared")``."""
    root = shared_root()
    if root is None:
        pytest.skip(why_missing("shared"))
    return root
