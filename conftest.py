"""What all tests share: properties are tried on the same examples every time, so that a red run can be run again.

`HYPOTHESIS_PROFILE=searching` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("steady", derandomize=True)
settings.register_profile("searching", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

pytest_plugins = ("stacks", "ingests", "shared_data")
"""The stacks that tests start and the real data, shared by all folders; unit tests start no stack."""
