"""TRL's vLLM backend with the adapter itself as what is synchronised.

TRL 1.16 merges the adapter into the base, sends all weights and takes the adapter out again. Here only the
sending is another: generating stays TRL's. To be removed when TRL can do it (#5975, PR #6007).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trl.experimental.async_grpo.async_grpo_trainer import (
    round_lora_rank,
    validate_lora_for_vllm_sync,
)
from trl.generation import vllm_generation
from trl.generation.vllm_generation import VLLMGeneration, empty_cache

from trainer.recipe_loader import RecipeError
from trainer.rollouts.adapter_folder import AdapterFolders, write_adapter
from trainer.rollouts.adapter_server import AdapterServer

Options = dict[str, Any]


class PreparedGeneration(VLLMGeneration):  # type: ignore[misc]  # TRL ships no types
    """TRL's backend, its engine built with further options (`vllm.LLM`) that TRL has no argument for."""

    def __init__(self, *arguments: Any, options: Options, **named: Any) -> None:
        self._options = options
        super().__init__(*arguments, **named)

    def _init_vllm(self) -> None:
        build: Any = getattr(vllm_generation, "LLM", None)
        vllm_generation.LLM = lambda **given: self._engine(build, {**given, **self._options})
        try:
            super()._init_vllm()
        finally:
            vllm_generation.LLM = build

    def _engine(self, build: Callable[..., Any], options: Options) -> Any:
        return build(**options)

    def close(self) -> None:
        """Remove what was written for the engine."""


class ColocatedAdapter(PreparedGeneration):
    """An engine in each process of the training, which loads the adapter from a folder in memory."""

    _llm_weights_sleeping: bool

    def __init__(self, model: Any, *arguments: Any, **named: Any) -> None:
        self._rank = servable_rank(model)
        self._folders = AdapterFolders()
        super().__init__(model, *arguments, **named)

    def _engine(self, build: Callable[..., Any], options: Options) -> Any:
        lora = {
            "enable_lora": True,
            "max_lora_rank": round_lora_rank(self._rank),
            "max_loras": 1,
            "max_cpu_loras": 2,  # the one in use and its successor
        }
        return AdapterEngine(build(**{**options, **lora}))

    def sync_weights(self) -> None:
        """Load the adapter of now under a new number, and forget the former one."""
        if self.enable_sleep_mode and self._llm_weights_sleeping:
            empty_cache()
            self.llm.wake_up(tags=["weights"])
            self._llm_weights_sleeping = False
        folder = self._folders.next()
        write_adapter(
            self.model, self._dist.gather_params, self.accelerator.device, folder, writes=True
        )
        self._folders.remove(self.llm.load(folder, self._folders.number))

    @contextmanager
    def using(self, checkpoint: Path | None) -> Iterator[Any]:
        """Yield the engine, which generates with a checkpoint's adapter or (None) with that of now."""
        if checkpoint is None or (self.enable_sleep_mode and self._llm_weights_sleeping):
            self.sync_weights()
        if self.enable_sleep_mode:
            self.llm.wake_up(tags=["kv_cache"])
        try:
            if checkpoint is None:
                yield self.llm
            else:
                self._folders.number += 1
                with self.llm.instead(checkpoint, self._folders.number):
                    yield self.llm
        finally:
            if self.enable_sleep_mode:
                self.llm.sleep(level=1)
                self._llm_weights_sleeping = True

    def close(self) -> None:
        """Remove the adapter's folders."""
        self._folders.close()


class AdapterEngine:
    """`vllm.LLM` that generates with the adapter loaded last, and keeps its base weights asleep."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.request: Any = None

    def load(self, folder: Path, number: int) -> list[Path]:
        """Load an adapter and use it from now on; return the folders that are not read any more."""
        before, self.request = self.request, self._added(folder, number)
        if before is None:
            return []
        self._engine.llm_engine.remove_lora(before.lora_int_id)
        return [Path(before.lora_path)]

    @contextmanager
    def instead(self, folder: Path, number: int) -> Iterator[None]:
        """Generate with another adapter for a while."""
        before, self.request = self.request, self._added(folder, number)
        try:
            yield
        finally:
            self._engine.llm_engine.remove_lora(number)
            self.request = before

    def _added(self, folder: Path, number: int) -> Any:
        """Return the request for an adapter that is loaded: now, and not in the middle of generating."""
        from vllm.lora.request import LoRARequest

        request = LoRARequest(f"{folder.name}-{number}", number, str(folder))
        self._engine.llm_engine.add_lora(request)
        return request

    def generate(self, *arguments: Any, **named: Any) -> Any:
        """Generate as `vllm.LLM.generate`, with the adapter."""
        return self._engine.generate(*arguments, lora_request=self.request, **named)

    def sleep(self, level: int) -> None:
        """Free the device's memory; the base weights wait in the host's, as nobody sends them again (level 1)."""
        self._engine.sleep(level=min(level, 1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class ServedAdapter(PreparedGeneration):
    """A `vllm serve --enable-lora` elsewhere, which is told to load the adapter from a shared folder."""

    def __init__(self, model: Any, *arguments: Any, shared: Path, **named: Any) -> None:
        self._rank = servable_rank(model)
        self._shared = shared
        super().__init__(model, *arguments, **named)

    def _init_vllm(self) -> None:
        """Wait for the server; no group of GPUs is made, as no base weight is sent."""
        self._server: AdapterServer | None = None
        if self.accelerator.is_main_process:
            address = self.server_base_url or f"http://{self.server_host}:{self.server_port}"
            self._server = AdapterServer(address, self.server_timeout, self._shared, self._rank)
            self.vllm_client = self._server.client
        self.accelerator.wait_for_everyone()

    def sync_weights(self) -> None:
        """Have the server load the adapter of now under a new name, and forget the one before the last."""
        folder = self._server.folders.next() if self._server else self._shared
        write_adapter(
            self.model,
            self._dist.gather_params,
            self.accelerator.device,
            folder,
            writes=self._server is not None,
        )
        if self._server is not None:
            self._server.load(folder)
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        """Have the server forget the adapters, and remove their folders."""
        if self._server is not None:
            self._server.close()


def servable_rank(model: Any) -> int:
    """Return the rank of the adapter; RecipeError if vLLM cannot serve it.

    DoRA, `modules_to_save`, trained biases and an adapter on the embeddings or the head have no place in what
    vLLM loads. Dropout has: it acts in training only.
    """
    try:
        config = validate_lora_for_vllm_sync(model)
        rank = max([config.r, *config.rank_pattern.values()])
        round_lora_rank(rank)
    except ValueError as error:
        raise RecipeError(
            f"vLLM cannot generate from this adapter: {error} Give rollouts.sync=merged, or change"
            " `lora` in the recipe"
        ) from error
    return int(rank)
