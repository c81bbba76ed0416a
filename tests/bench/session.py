# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benches share: a folder for disks and machines of their own, both taken away afterwards."""

import os
import pathlib
import shutil
import tempfile

from machine import coffer, runtime_folder


def run(main):
    """main(folder), where the folder is a new one."""
    os.environ["COFFER_RUNTIME_DIR"] = runtime_folder()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        main(work)
    finally:
        coffer("vm", "stop", "--all", "--force", check=False)
        shutil.rmtree(os.environ["COFFER_RUNTIME_DIR"], ignore_errors=True)
        shutil.rmtree(work)
