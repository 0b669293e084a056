"""Free TCP ports on the loopback interface, several at once.

Ports are drawn at random from below the range that operating systems use for outgoing connections, so that nothing
takes one between the moment it is chosen and the moment a server of ours listens on it.
"""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 32_000


def free_ports(count: int, *, first: int = FIRST, last: int = LAST) -> list[int]:
    """Choose distinct ports on which nobody listens.

    :param count: how many ports
    :param first: lowest port to consider, 20,000 by default
    :param last: highest port to consider, 32,000 by default
    :raises OSError: when the range holds fewer free ports than asked for
    """
    candidates = random.SystemRandom().sample(range(first, last + 1), last + 1 - first)
    ports: list[int] = []
    with contextlib.ExitStack() as held:  # all ports stay bound until the end, so no port is chosen twice
        for port in candidates:
            if len(ports) == count:
                break
            holder = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                holder.bind((LOOPBACK, port))
            except OSError:
                continue
            ports.append(port)
    if len(ports) < count:
        raise OSError(f"only {len(ports)} of {count} ports are free between {first} and {last}")
    return ports
