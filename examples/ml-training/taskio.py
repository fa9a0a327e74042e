"""How a task program talks to its worker: payload in on stdin, output out as the last line of stdout."""

import json
import os
import sys
import tempfile


def run(task):
    """Calls `task` with the payload; an exception becomes a message on stderr and a failing exit status."""
    try:
        output = task(json.load(sys.stdin))
    except (KeyError, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(output))


def folder(payload, name):
    base = payload.get("workdir") or os.path.join(tempfile.gettempdir(), "orc-ml-training")
    path = os.path.join(os.path.abspath(base), name)
    os.makedirs(path, exist_ok=True)
    return path


def write_whole(path, data):
    """Readers see the old file or the new one, never half of it; a second attempt may write it again."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
