"""Precompiled standard headers: each file of a standalone program includes them, which is half of its build."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_HEADERS = "algorithm climits cmath cstdint ctime fstream iostream map random set string vector".split()


def precompiled_headers() -> list[str]:
    """Return compiler arguments that use precompiled headers, none where they cannot be made.

    They are made once for each compiler and its flags and kept in the cache folder of the package.
    """
    import pooch
    from brian2.codegen.cpp_prefs import get_compiler_and_args

    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        return []
    flags = ["-Wno-write-strings", *get_compiler_and_args()[1]]
    text = "".join(f"#include <{name}>\n" for name in _HEADERS)
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    key = hashlib.sha256("\n".join([compiler, version, *flags, text]).encode()).hexdigest()[:16]
    header = (
        Path(os.environ.get("NEUROCIRCUITS_CACHE") or pooch.os_cache("neurocircuits")) / "headers" / key / "standard.h"
    )
    compiled = header.with_name("standard.h.gch")
    if not compiled.exists():
        try:
            header.parent.mkdir(parents=True, exist_ok=True)
            header.write_text(text)
            partial = compiled.with_name(f".{os.getpid()}.gch")
            command = [compiler, "-x", "c++-header", *flags, str(header), "-o", str(partial)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return []
            os.replace(partial, compiled)
        except OSError:
            return []
    return ["-include", str(header)]
