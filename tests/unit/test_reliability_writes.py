"""What a full disk leaves of a file and of the store: the last whole state."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from local_estate.paths import REPOSITORY

PROGRAM = """
import json, resource, sqlite3, sys
from pathlib import Path
from local_estate import full_disk
from local_estate.api.kernel.durable_files import write_whole
from local_estate.api.kernel.store import Store

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

home = Path(sys.argv[1])
store = Store(home / "store.db")
write_whole(home / "file", b"before")
said = []

def attempt(write):
    try:
        write()
    except Exception as error:
        said.append(full_disk.explained(error, home))

def put(key):
    with store.transaction() as transaction:
        transaction.put("thing", key, {"key": key, "much": "x" * 100_000})

put("before")
room(0)
attempt(lambda: write_whole(home / "file", b"during"))
attempt(lambda: write_whole(home / "new", b"during", overwrite=False))
attempt(lambda: put("during"))
held = [key for key, _ in store.read.find("thing")]
room(resource.RLIM_INFINITY)
put("after")
print(json.dumps({"said": said, "held": held, "then": [key for key, _ in store.read.find("thing")], "writes": store.writes}))
"""


def test_a_write_that_finds_no_room_leaves_file_and_store_as_they_were_and_the_next_one_works(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    file, new, store = told["said"]
    assert file == f"the disk below {tmp_path} takes no more ([Errno 27] File too large). Free some space there and try again."
    assert new == file
    assert store == f"the disk below {tmp_path} takes no more (disk I/O error). Free some space there and try again."
    assert told["held"] == ["before"]
    assert (told["then"], told["writes"]) == (["after", "before"], 2)
    assert (tmp_path / "file").read_bytes() == b"before"
    assert sorted(each.name for each in tmp_path.iterdir() if not each.name.startswith("store.db")) == ["file"]
