"""The real engine where not even one sample fits into memory."""

from tests.worker.cramped import run

if __name__ == "__main__":
    run(room=0, steps=0)
