"""The random states of all processes of a job: a checkpoint has all of them, and each takes its own."""

from typing import Any

from torch import Tensor

from worker.engine.parallel.ranks import Ranks
from worker.engine.state import Tensors, random_numbers, random_tensors, restore_random, under
from worker.engine.training.seeds import seed_all, seed_from


def of_others(ranks: Ranks) -> tuple[Tensors, dict[str, Any]]:
    """Return those of all but the leader, by the process's number; what is no tensor apart."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in random_tensors().items() if ranks.size > 1 else ():
        for rank, state in enumerate(ranks.gather(tensor.cpu()[None])):
            tensors |= {f"rank.{rank}.{name}": state.clone()} if rank else {}
    numbers = {str(rank): said for rank, said in enumerate(ranks.tell(random_numbers())) if rank}
    return tensors, {"ranks": numbers} if numbers else {}


def take_own(ranks: Ranks, tensors: Tensors, numbers: dict[str, Any], seed: int) -> None:
    """Go on from this process's state, or where there is none begin one of its own; the leader's is the job's."""
    if ranks.leads:
        return
    own = under(tensors, f"rank.{ranks.rank}")
    if own:
        restore_random(own, numbers["ranks"][str(ranks.rank)])
    else:
        seed_all(seed_from(f"rank {seed} {ranks.rank} {numbers.get('step', 0)}"))
