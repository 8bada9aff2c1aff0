"""The walls around a child, put up by the child itself before anything of a user's is read. Standard library only.

    python -P -m worker.sandbox WALLS MODULE ARGUMENT...      (WALLS: `Walls` as JSON)

limits     dies with its parent, gains no privileges, dumps no core, writes no endless file; memory, where it is told
landlock   files: reads what programs need, writes in its own folders alone; no TCP, no signals to others
seccomp    system calls: no sockets, no programs, no processes, no looking into others, nothing that administers

None of it needs root. What a kernel lacks is left out, and said; `strict` walls refuse to go on without.
"""
