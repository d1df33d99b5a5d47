"""What a bench ran on: the machine, the interpreter, and how much is installed of the gateway."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent


def installed_mb() -> tuple[float, int]:
    """Bytes of the package and of everything that it needs at run time, without compiled caches."""
    todo, seen, total = ["proxyapi"], set(), 0
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # a marker excludes it here
            continue
        seen.add(name)
        for requirement in distribution.requires or ():
            if "extra ==" not in requirement:
                todo.append(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
        files = [Path(str(f.locate())) for f in distribution.files or () if f.suffix != ".pyc"]
        if name == "proxyapi":
            files = [f for f in (HERE.parent / "src").rglob("*") if f.suffix != ".pyc"]
        total += sum(f.stat().st_size for f in files if f.is_file())
    return total / 1e6, len(seen)


def machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [model.group(1) if model else platform.machine(), f"{os.cpu_count()} cores", f"{memory_gb:.0f} GB"]
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    python = (
        f"Python {platform.python_version()} built {'with' if optimised else 'without'} profile-guided optimisation"
    )
    return ", ".join([*parts, f"Linux {platform.release()}", python])
