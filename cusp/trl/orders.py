"""Commands that all ranks carry out in the same step: rank 0 proposes them as the bits of one integer."""

import torch

from cusp.process.harmless import harmless
from cusp.protocol.messages import Command
from cusp.run import Run
from cusp.trl.attendance import distributed

SAVE, STOP, STOP_AFTER_SAVE, VERIFY, VERIFY_SAVED, NO_SAVE = 1, 2, 4, 8, 16, 32
ANY_STOP = STOP | STOP_AFTER_SAVE
_NOT_TOGETHER = (
    "Cusp is not attached in every process of this training, so it cannot stop it, have it save or verify:"
    " the others would wait for ever. Attach it in all of them (without `if rank == 0`)."
)


class Orders:
    """The commands of one training that were proposed in this step, and those agreed on before."""

    def __init__(self) -> None:
        self.agreed: set[str] = set()
        self._proposed: dict[str, tuple[Command, int]] = {}

    @harmless(0)
    def propose(
        self,
        run: Run | None,
        verification: tuple[Command, int] | None,
        no_room: str | None = None,
    ) -> int:
        """Return the monitor's orders to rank 0 since the last step, as bits; 0 on every other rank.

        `verification` is a command of that kind that can be carried out now, with its bit; it waits while a stop
        is proposed. `no_room` says why no checkpoint can be saved now: then a command to save is refused, and
        a stop does not wait for a save.
        """
        known = run.open_commands() if run is not None else []
        found = [(c, _bit(c)) for c in known if _bit(c) and c.command_id not in self.agreed]
        if no_room is not None and run is not None:
            for command in [c for c, bit in found if bit == SAVE]:
                run.acknowledge(command, "refused", reason=no_room)
            found = [(c, STOP) for c, bit in found if bit & ANY_STOP]
        stopping = any(bit & ANY_STOP for _, bit in found)
        if verification is not None and not stopping:
            found.append(verification)
        self._proposed = {command.command_id: (command, bit) for command, bit in found}
        orders = 0
        for _, bit in found:
            orders |= bit
        return orders

    def shared(self, orders: int, device: torch.device) -> int:
        """Return rank 0's orders on every rank: one broadcast of one integer."""
        if not distributed():
            return orders
        box = torch.tensor([orders], dtype=torch.int32, device=device)
        torch.distributed.broadcast(box, src=0)
        return int(box.item())

    def refuse(self, run: Run | None) -> None:
        """Refuse what needs all ranks, as not all have the callback; keep what can be kept."""
        for command, _ in self._proposed.values():
            if run is not None:
                if command.kind != "verify":
                    run.keep(command.steps)
                run.acknowledge(command, "refused", reason=_NOT_TOGETHER)

    @harmless(None)
    def acknowledge(self, run: Run, step: int) -> None:
        """Tell the monitor that the proposed commands were agreed on."""
        for command, _ in self._proposed.values():
            self.agreed.add(command.command_id)
            run.acknowledge(command, "agreed", step=step)


def _bit(command: Command) -> int:
    if command.kind == "save":
        return SAVE
    if command.kind == "stop":
        return STOP_AFTER_SAVE if command.mode == "after_save" else STOP
    return 0
