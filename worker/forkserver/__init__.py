"""Children that start warm: a process that has imported torch already, and forks when a slot asks for a child.

A slot starts its fork server with its first job, and then each job's first step comes seconds sooner. The server never
reads anything of a user's, computes nothing, and has never touched CUDA, so that what it forks is as good as new: the
child goes behind its walls by itself, like one that was started cold. Without the server, children start cold.

    client.py   asks for a child, from within a slot
    order.py    what is asked, and how it travels
    server.py   forks, waits for its children, and ends with the slot that started it
"""
