# A program that reads many configurations through generated code, and says what it has read of each.
import json
import pathlib
import sys
import tempfile
from datetime import timedelta

import language


def read(one, root):
    (root / "etc" / "language" / "all.json").write_bytes(one["file"].encode("utf-8"))
    try:
        c = language.load(one["env"], str(root))
    except language.ConfigError as error:
        return error.problems
    f = c.files.all
    return {
        "TEXT": c.text, "INT": str(c.int_), "FLOAT": repr(c.float_), "BOOL": str(c.bool_).lower(), "CHOICE": c.choice,
        "DURATION": str(c.duration // timedelta(microseconds=1)), "URL": c.url.scheme, "SECRET": c.secret.reveal(), "BLANK": c.blank.reveal(),
        "text": f.text, "int": str(f.int_), "float": repr(f.float_), "bool": str(f.bool_).lower(),
        "duration": str(f.duration // timedelta(microseconds=1)), "url": f.url.scheme, "secret": f.secret.reveal(),
    }


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    (root / "etc" / "language").mkdir(parents=True)
    print(json.dumps([read(one, root) for one in json.load(sys.stdin)]))
