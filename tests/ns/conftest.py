# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import namespace  # noqa: E402

WHY_NOT = namespace.usable()


def pytest_collection_modifyitems(items):
    if WHY_NOT:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest.fixture(scope="module")
def agent():
    """One for all cases of a file: each leaves it as it was."""
    with namespace.Agent() as made:
        yield made
        assert made.process.poll() is None, f"the agent ended: {made.log()}"


@pytest.fixture
def fresh():
    """One that the case may end."""
    with namespace.Agent() as made:
        yield made


@pytest.fixture
def control(agent):
    with agent.control() as made:
        yield made
