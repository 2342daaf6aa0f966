"""Every bench, one after the other, each on a stack of its own that ends with it.

    make bench [ONLY=fold,window]

What they print are ratios against a baseline of the same run, which hold on other machines too; seconds do not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
SHOPS: Final = HERE.parent / "integration"
GROUNDS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "fold": None,
    "import": None,
    "crowd": ("--only", "postgres"),
    "late": ("--only", "postgres"),
    "burst": ("--shop", str(SHOPS / "real_shops")),
    "window": ("--shop", str(SHOPS / "shop")),
}
"""By the bench's name: the options of the `stagepost up` that it runs on, None where it needs none."""
STAGEPOST: Final = (sys.executable, "-m", "services")
FIRST_START: Final = 300


@contextmanager
def ground(options: tuple[str, ...] | None) -> Iterator[dict[str, str]]:
    """The environment of a bench."""
    if options is None:
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory(prefix="stagepost-bench-", ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)  # so that Postgres, who may run as another user, gets to its data
        env = {**os.environ, "STAGEPOST_HOME": home}
        with (Path(home) / "up.log").open("w") as log:
            up = subprocess.Popen([*STAGEPOST, "up", *options, "--free-ports"], env=env, stdout=log, stderr=log)
        try:
            told = subprocess.run(
                [*STAGEPOST, "endpoints", "--json", "--wait", str(FIRST_START)],
                env=env, capture_output=True, text=True, check=True,
            )  # fmt: skip
            yield {**env, "STAGEPOST_POSTGRES__DSN": json.loads(told.stdout)["postgres"]}
        finally:
            up.terminate()
            up.wait()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", help=f"some of {','.join(GROUNDS)}")
    chosen = [name for name in options.parse_args().only.split(",") if name] or list(GROUNDS)
    if unknown := set(chosen) - GROUNDS.keys():
        options.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(GROUNDS)}")
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        with ground(GROUNDS[name]) as env:
            if subprocess.run([sys.executable, str(HERE / f"bench_{name}.py")], env=env, check=False).returncode:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
