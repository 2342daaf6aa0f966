"""Looks after those that `stagepost up` leaves behind when it is killed outright.

It reads from a pipe whose other end only `up` holds: when that end closes without a word, `up` is gone, and what the
run wrote down is stopped as `stagepost down` would. On Linux the kernel has asked them to stop by then (see guard.py);
here they get their time, and are killed after it.
"""

import sys
from pathlib import Path

from services.devstack.home import Home
from services.devstack.running import read_run, stop_children

WORD = "done"


def main() -> None:
    home, mark = Home(Path(sys.argv[1])), sys.argv[2]
    if WORD in sys.stdin.read():
        return
    run = read_run(home)
    if run is not None and run.mark == mark:
        stop_children(run)


if __name__ == "__main__":
    main()
