"""kernel: what a limit in nftables costs for each datagram it drops, and the guard from arrival to refusal, kernel and all.

In a network namespace of its own. On loopback the sender's CPU time holds the whole way of a datagram into the receiver's queue, so the cost of a
way is the sender's time plus the receiver's; what the cheapest way takes (dropped before anything looks at it) is the same in all, and is taken off."""

import shutil
import subprocess

from figures import interleave, ratio
from rig import LOAD, SUBJECT, TIGHT

MILLION = 1000000
DOOR, SUM, EACH = 17901, 17902, 17903

RULES = """
table netdev door {
	chain in {
		type filter hook ingress device "lo" priority 0;
		udp dport %d drop
	}
}
table ip limits {
	set senders {
		type ipv4_addr
		flags dynamic
		size 65535
		timeout 1m
	}
	chain in {
		type filter hook prerouting priority raw;
		udp dport %d limit rate over 10/second drop
		udp dport %d add @senders { ip saddr limit rate over 2/second burst 5 packets } drop
		udp dport %d limit rate over 10/second drop
	}
}
""" % (DOOR, SUM, EACH, EACH)


def namespace(rig):
    """A process whose network has these rules, or why there is none."""
    if not shutil.which("nft"):
        return None, "no nft here"
    p = rig.spawn(["unshare", "-n", "sh", "-c", "ip link set lo up && nft -f - && echo ready && exec sleep 3600"], SUBJECT,
                  stdin=subprocess.PIPE, stderr=subprocess.PIPE, told=subprocess.PIPE)
    p.stdin.write(RULES.encode())
    p.stdin.close()
    if p.stdout.readline().strip() == b"ready":
        return p, ""
    why = p.stderr.read().decode().strip().splitlines()
    return None, "no network namespace with nftables: %s" % (why[-1] if why else "?")


def flood(rig, net, port, **traffic):
    """ns for each datagram, of the sender."""
    result = rig.load("flood", port, cpu=SUBJECT, inside=net.pid, port=LOAD, count=50048, **traffic)
    return {"ns": result["cpu_ns"] / result["sent"]}


def dropped(rig, report, args):
    report.part("Dropped or refused, from arrival on: CPU time beyond that of the cheapest drop", rig.handover())
    net, why = namespace(rig)
    if not net:
        report.row("nftables", {}, None, "", "skipped: " + why)
        return
    rig.device()
    guard = rig.guard(TIGHT)
    bare = rig.bare()
    for n in (1000, MILLION):
        traffic = dict(kind="get", sources=n)

        def delivered(process, port):
            """Into the queue, as the sender pays it, and out of it."""
            r = rig.drain(process, port, **traffic)
            return {"ns": r["fill"] + r["median"]}

        runs = interleave(args.repeats, {
            "door": lambda: flood(rig, net, DOOR, **traffic),
            "limit for all": lambda: flood(rig, net, SUM, **traffic),
            "limit for each": lambda: flood(rig, net, EACH, **traffic),
            "bare loop": lambda: delivered(bare, bare.port),
            "guard": lambda: delivered(guard, guard.quiet),
        })
        above = {name: [{"ns": r["ns"] - d["ns"]} for r, d in zip(rows, runs["door"])] for name, rows in runs.items()}
        figures = {name: (sorted(r["ns"] for r in rows)[len(rows) // 2], "ns") for name, rows in above.items() if name != "door"}
        report.row("of %d sources: guard / limit for each" % n, figures, ratio(above, "guard", "limit for each", "ns"), "",
                   "the cheapest drop, sending included: %.0f ns" % sorted(r["ns"] for r in runs["door"])[len(runs["door"]) // 2])
    rig.stop_all()
