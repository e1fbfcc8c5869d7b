"""How many cores there are for this process."""

import os


def usable_cores() -> int:
    """At least 1; a container or a scheduler may leave fewer, and processes of torchrun share them."""
    affinity = getattr(os, "sched_getaffinity", None)  # on Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
