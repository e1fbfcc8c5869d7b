"""How many cores there are for this process."""

import os


def usable_cores() -> int:
    """At least 1; a container or a scheduler may leave fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # on Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1
