"""The distillation engine: a library that knows torch and the contract, and runs a job's directory with no server.

job       one job from inputs to what it publishes; `bench` holds what its trainings share, `run` is the loop
state     all that a resume needs; `checkpoint` writes it
build     from the spec to live objects, one file a kind: architectures, objectives, augmentations, transfer_sets,
          preprocessing
files, data, views, networks, taps, graphs, teachers, terms, training, report, plots, published
          each folder says in its `__init__` what it owns
inspection  what uploads are, looked at in a child of its own
opening   how a published student is opened by its users
"""
