#!/usr/bin/python3
"""confine.py RULES COMMAND...: runs it under a filter of system calls. RULES is a unit file: the filter that systemd would make from
SystemCallFilter=, SystemCallErrorNumber= and RestrictAddressFamilies= (systemd.exec(5)), which needs systemd-analyze, since that knows
the groups; or a seccomp profile of OCI's JSON. The numbers are those of this machine's C compiler. With --print instead of a command:
what is allowed."""
import ctypes
import errno
import json
import os
import platform
import re
import socket
import struct
import subprocess
import sys

AUDIT_ARCH = {"x86_64": 0xc000003e, "aarch64": 0xc00000b7}  # linux/audit.h
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the argument's lower half on little-endian machines
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def settings(unit, key):
    """Every value of the key, in the order of the file."""
    with open(unit) as file:
        return [line.split("=", 1)[1].strip() for line in file if line.startswith(key + "=")]


def group(name, known={}):
    """The calls of @name, with those of the groups in it."""
    if name not in known:
        text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
        words = [line.strip() for line in text.splitlines() if line.startswith("    ") and line.strip()[0] != "#"]
        known[name] = set().union(*(expand(word) for word in words))
    return known[name]


def expand(word):
    return group(word) if word.startswith("@") else {word}


def allowed(rules):
    """The first value says whether the list is of what is allowed; here it always is."""
    if rules.endswith(".json"):
        with open(rules) as file:
            profile = json.load(file)
        assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
        assert all(rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args") for rule in profile["syscalls"])
        return {name for rule in profile["syscalls"] for name in rule["names"]}
    calls = group("@default").copy()
    for value in settings(rules, "SystemCallFilter"):
        words = set().union(*(expand(word) for word in value.lstrip("~").split()))
        calls = calls - words if value.startswith("~") else calls | words
    return calls


def numbers():
    text = subprocess.run([os.environ.get("CC", "cc"), "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], capture_output=True,
                          text=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def step(code, value, if_true=0, if_false=0):
    return struct.pack("=HBBI", code, if_true, if_false, value)


def program(rules):
    by_name = numbers()
    refuse = ERRNO | getattr(errno, (settings(rules, "SystemCallErrorNumber") or ["EPERM"])[-1])
    families = [getattr(socket, name).value for value in settings(rules, "RestrictAddressFamilies") for name in value.split()]
    code = [step(LOAD, ARCH), step(EQUAL, AUDIT_ARCH[platform.machine()], 1, 0), step(RETURN, KILL), step(LOAD, NUMBER)]
    if families:
        code += [step(EQUAL, by_name["socket"], 0, 2 + 2 * len(families)), step(LOAD, FIRST_ARGUMENT)]
        for family in families:
            code += [step(EQUAL, family, 0, 1), step(RETURN, ALLOW)]
        code += [step(RETURN, ERRNO | errno.EAFNOSUPPORT)]
    # A name of another machine's call is passed over, as systemd does.
    for number in sorted(by_name[name] for name in allowed(rules) if name in by_name):
        code += [step(EQUAL, number, 0, 1), step(RETURN, ALLOW)]
    return b"".join(code + [step(RETURN, refuse)])


def confine(rules):
    code = ctypes.create_string_buffer(program(rules))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    prctl = lambda *args: libc.prctl(args[0], *(ctypes.c_ulong(a) for a in args[1:]))  # noqa: E731
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head), 0, 0) != 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls here")


if __name__ == "__main__":
    if sys.argv[2] == "--print":
        print("\n".join(sorted(allowed(sys.argv[1]))))
    else:
        confine(sys.argv[1])
        os.execvp(sys.argv[2], sys.argv[2:])
