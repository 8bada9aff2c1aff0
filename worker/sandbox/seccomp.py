"""seccomp: which system calls a process may make, without root. seccomp(2); the filter is classic BPF.

What is refused answers EPERM, so that a library which only tries goes on without.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from worker.sandbox.limits import prctl

_PR_GET_SECCOMP = 21
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # of struct seccomp_data, little-endian
_THREAD = 0x00010000  # CLONE_THREAD
_X32 = 0x40000000

_NETWORK = ("socket", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg")
_PROGRAMS = ("execve", "execveat", "fork", "vfork")
_INTO_OTHERS = ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
                "kcmp", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "shmget", "semget", "msgget",
                "mq_open")  # fmt: skip
_OF_THE_SYSTEM = ("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_by_handle_at",
                  "name_to_handle_at", "fsopen", "move_mount", "open_tree", "bpf", "perf_event_open", "userfaultfd",
                  "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key",
                  "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon",
                  "swapoff", "acct", "quotactl", "personality")  # fmt: skip
_FALSE_FILES = ("symlink", "symlinkat", "mknod", "mknodat")
"""Its worker reads what a job leaves: no name there may lead elsewhere, or to a pipe at which the worker waits."""
REFUSED = (*_NETWORK, *_PROGRAMS, *_INTO_OTHERS, *_OF_THE_SYSTEM, *_FALSE_FILES)
_SHARED_NUMBERS = {
    "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "fsopen": 430, "move_mount": 429, "open_tree": 428, "clone3": 435,
}  # fmt: skip
_X86_64 = {
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "bind": 49, "listen": 50, "accept4": 288,
    "sendmmsg": 307, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62, "tkill": 200,
    "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "ptrace": 101, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240, "mount": 165,
    "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "open_by_handle_at": 304,
    "name_to_handle_at": 303, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248,
    "request_key": 249, "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
    "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179,
    "personality": 135, "symlink": 88, "symlinkat": 266, "mknod": 133, "mknodat": 259,
    **_SHARED_NUMBERS,
}  # fmt: skip
_AARCH64 = {
    "socket": 198, "connect": 203, "accept": 202, "sendto": 206, "sendmsg": 211, "bind": 200, "listen": 201,
    "accept4": 242, "sendmmsg": 269, "clone": 220, "execve": 221, "execveat": 281, "kill": 129, "tkill": 130,
    "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "ptrace": 117, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180, "mount": 40,
    "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268, "open_by_handle_at": 265,
    "name_to_handle_at": 264, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217,
    "request_key": 218, "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104,
    "kexec_file_load": 294, "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89, "quotactl": 60,
    "personality": 92, "symlinkat": 36, "mknodat": 33, **_SHARED_NUMBERS,
}  # fmt: skip


@dataclass(frozen=True)
class _Machine:
    audit: int
    """AUDIT_ARCH_* of linux/audit.h."""
    seccomp: int
    """The number of seccomp(2) itself."""
    numbers: dict[str, int]


_MACHINES = {"x86_64": _Machine(0xC000003E, 317, _X86_64), "aarch64": _Machine(0xC00000B7, 277, _AARCH64)}


def available() -> bool:
    """Return whether this kernel filters system calls, and their numbers on this machine are known."""
    try:
        prctl(_PR_GET_SECCOMP, 0)
    except OSError:
        return False
    return platform.machine() in _MACHINES


def enter(*, all_threads: bool = True) -> None:
    """Refuse what is listed above, from here on and for all threads to come, and for those that are there already.

    Needs `no_new_privs`, which other threads are then given, too. Raises OSError.
    """
    machine = _MACHINES[platform.machine()]
    program = _program(machine, os.getpid())
    content = ctypes.create_string_buffer(program, len(program))
    packed = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(content))
    header = ctypes.create_string_buffer(packed, len(packed))
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _ALL_THREADS if all_threads else 0
    if libc.syscall(machine.seccomp, ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(flags), header) != 0:
        number = ctypes.get_errno()  # a thread's number where one has a filter of its own
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(machine: _Machine, me: int) -> bytes:
    numbers = machine.numbers
    return b"".join([
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, machine.audit, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        *_refuse_if(_AT_LEAST, _X32, errno.ENOSYS),
        *_refuse_if(_EQUAL, numbers["clone3"], errno.ENOSYS),  # its flags lie in memory: libc takes clone instead
        *[step for name in REFUSED if name in numbers for step in _refuse_if(_EQUAL, numbers[name])],
        *_only(numbers["clone"], _ANY_BIT, _THREAD),
        *_only(numbers["kill"], _EQUAL, me),
        *_only(numbers["tgkill"], _EQUAL, me),
        _step(_RETURN, _ALLOW),
    ])  # fmt: skip


def _refuse_if(test: int, value: int, number: int = errno.EPERM) -> list[bytes]:
    return [_step(test, value, no=1), _step(_RETURN, _REFUSE | number)]


def _only(call: int, test: int, value: int) -> list[bytes]:
    """Let a call pass only where its first argument passes a test."""
    return [
        _step(_EQUAL, call, no=4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(test, value, no=1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _REFUSE | errno.EPERM),
    ]


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
