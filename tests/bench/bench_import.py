"""How fast rows become events: a dry run of the mappings that come with Stagepost, against decoding the same events.

    python tests/bench/bench_import.py

The figure that means something elsewhere is the ratio: how often the events could have been decoded in that time.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))

from cdnow import FOLDER
from importing import shape

from ingest.history.shaping import Made
from services.contracts.events import decode_event

FILES = {
    "cdnow": FOLDER / "CDNOW_sample.txt",
    "otto": FOLDER.parent / "otto" / "train_20_sessions.jsonl",
    "online-retail": FOLDER.parent / "online_retail" / "online_retail.csv.gz",
}


def main() -> None:
    for mapping, path in FILES.items():
        began = time.process_time()
        made = [one for one in shape(path, mapping) if isinstance(one, Made)]
        shaped = time.process_time() - began
        began = time.process_time()
        for one in made:
            decode_event(one.record.value or b"")
        decoded = time.process_time() - began
        rows = sum(one.rows for one in made)
        rate, ratio = rows / shaped, shaped / decoded
        print(f"{mapping:<14} {rows:>7} rows {rate:>9,.0f} rows/s of CPU, {ratio:.0f} times decoding")


if __name__ == "__main__":
    main()
