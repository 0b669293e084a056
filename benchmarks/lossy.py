"""Landing over TLS from a source 20 ms away while one packet in a thousand is lost, in a network namespace of its own.

The namespace has a loopback interface of its own, with packets of 1,500 bytes and without the kernel's joining of
packets, so that the packet filter drops single ones. Source, relay, store and clients all run in it. Packets are lost
between client and relay, and the delay lies behind the relay. So a lost packet is sent again sooner than over a real
line of this length; a lost first or last packet of a reply costs its timeout of 0.2 s and more all the same.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks import rows
from benchmarks.distance import from_afar
from benchmarks.relay import distant
from benchmarks.rows import Row
from benchmarks.stack import ROOT, Stack
from devstack.environment import inherited_environment
from devstack.errors import DevstackError
from devstack.ports import LOOPBACK

ROUND_TRIP = 0.020
LOSS = 0.001
_LOOPBACK_UP = ("ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "gso_max_size", "1500", "up")


def lossy_source(stack: Stack) -> list[Row]:
    """The rows of the namespace; none where this machine cannot have one, and then it prints what is missing."""
    missing = _missing()
    if missing:
        print(f"lossy: not measured, because this needs {missing}.")
        return []
    command = [*_in_namespace(), sys.executable, "-m", "benchmarks.lossy", str(stack.folder), str(rows.RUNS)]
    process = subprocess.Popen(command, cwd=ROOT, env=inherited_environment(), stdout=subprocess.PIPE)
    try:
        output, _ = process.communicate()
    finally:
        process.terminate()  # if it still runs, SIGTERM lets it stop its servers
        process.wait()
    if process.returncode:
        raise DevstackError(f"The measurement with lost packets ended with exit code {process.returncode}; see above.")
    return msgspec.json.decode(output.splitlines()[-1], type=list[Row])


def _missing() -> str | None:
    """What this machine lacks for packet loss of its own; None = nothing."""
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(program) is None:
            return f"the program {program} (apt install {package})"
    for what, command in (
        ("the right to make a network namespace (run as root)", ["true"]),
        ("a kernel whose loopback interface takes gso_max_segs", _LOOPBACK_UP),
        ("a kernel with the packet filter's match `statistic`", _drops("--dport", 1)),
    ):
        if subprocess.run([*_in_namespace(), *command], check=False, capture_output=True).returncode:
            return what
    return None


def _in_namespace() -> list[str]:
    return ["unshare", "--net", "--"]


def _drops(which: str, port: int) -> list[str]:
    """The command that loses packets to (`--dport`) or from (`--sport`) a port."""
    match = ["-m", "statistic", "--mode", "random", "--probability", str(LOSS)]
    return ["iptables", "-A", "INPUT", "-p", "tcp", which, str(port), *match, "-j", "DROP"]


def _measure(folder: Path) -> list[Row]:
    """Measure, within the namespace."""
    subprocess.run(_LOOPBACK_UP, check=True)
    with Stack(folder) as stack, distant(int(stack.source.tls_url.rpartition(":")[2]), ROUND_TRIP) as relayed:
        for which in ("--dport", "--sport"):
            subprocess.run(_drops(which, relayed), check=True)
        stack.source.tls_url = f"https://{LOOPBACK}:{relayed}"
        return from_afar(stack, f"{ROUND_TRIP * 1000:.0f} ms away, {LOSS:.1%} of packets lost")


if __name__ == "__main__":
    # SIGTERM ends this program as Ctrl-C does, so that it stops its servers first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows.RUNS = int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="lossy-", dir=sys.argv[1]) as own:
        measured = _measure(Path(own))
    sys.stdout.buffer.write(msgspec.json.encode(measured) + b"\n")
