"""A recipe's plan, wired: devices, model, batch, memory of a rank, nodes, advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from r1cli.batch import BatchPlan
from r1cli.errors import UsageError
from r1cli.planning import architecture, sampling
from r1cli.planning import setup as setups
from r1cli.planning.advice import Advice, Weighed, advise, changed, knobs
from r1cli.planning.architecture import Architecture
from r1cli.planning.config_file import config_of
from r1cli.planning.hardware import GIB, Hardware, hardware
from r1cli.planning.layout import Place, layout, with_ranks
from r1cli.planning.memory import Memory, memory
from r1cli.planning.setup import Setup
from r1cli.recipe import Recipe

if TYPE_CHECKING:
    from r1cli.plugins import Plugins


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    machine: Hardware
    model: Architecture
    setup: Setup
    memory: Memory
    places: list[Place]
    advice: list[Advice]
    longest: int | None
    notes: list[str]

    @property
    def fits(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> list[str]:
        return _problems(self.memory, self.machine)

    @property
    def completions(self) -> int:
        """Rows that one optimizer step learns from."""
        return self.setup.batch.prompts_per_step * self.setup.batch.group_size

    def as_data(self) -> dict[str, Any]:
        """For --json: bytes and counts, no text to parse."""
        served = self.memory.vllm
        return {
            "recipe": self.recipe.name,
            "model": {
                "name": self.recipe.model.name,
                **asdict(self.model),
                "parameters": self.model.parameters,
                "active_parameters": self.model.active,
            },
            "hardware": asdict(self.machine),
            "setup": asdict(self.setup),
            "batch": asdict(self.setup.batch),
            "completions_per_step": self.completions,
            "tokens_per_step": self.completions * self.setup.length,
            "fits": self.fits,
            "problems": self.problems,
            "peak_bytes": self.memory.peak,
            "peak_phase": self.memory.worst.name,
            "phases": {phase.name: phase.parts for phase in self.memory.phases},
            "host_bytes": self.memory.host,
            "vllm": asdict(served) if served else None,
            "knobs": [
                {
                    "set": item.knob.values,
                    "cost": item.knob.cost,
                    "saves_bytes": item.saves,
                    "peak_bytes": item.after.peak,
                    "fits": item.after.fits,
                }
                for item in self.advice
            ],
            "longest": self.longest,
            "layout": [asdict(place) for place in self.places],
            "notes": self.notes,
        }


def make_plan(
    recipe: Recipe,
    plugins: Plugins,
    *,
    gpus: int | None = None,
    gpu_memory: float | None = None,
    prompt_tokens: int = setups.PROMPT_TOKENS,
) -> Plan:
    """`gpus` of one node, `gpu_memory` of one of them in GiB; None looks at this machine."""
    machine = hardware(recipe, gpus, gpu_memory)
    recipe, line = with_ranks(recipe, machine)
    name = setups.trainer_of(recipe)
    model = architecture.read(config_of(recipe, plugins), recipe.where("model", "name"))

    def weigh(tried: Recipe) -> tuple[Setup, list[Place], Memory]:
        batch = batch_of(tried, name, plugins)
        setup = setups.read(tried, model, batch, device=machine.device, prompt_tokens=prompt_tokens)
        where = tried.where("trainer", "args", "vllm_tensor_parallel_size")
        sampling.check_parallel(model, setup, where)
        places, setup = layout(tried, model, setup, machine)
        return setup, places, memory(model, setup, machine.memory)

    def verdict(tried: Recipe) -> Weighed:
        found = weigh(tried)[2]
        starts = not found.vllm or found.vllm.sequences >= 1
        return Weighed(found.peak, not _problems(found, machine), starts)

    setup, places, found = weigh(recipe)
    notes = [note for note in (machine.said, line, *_notes(recipe, setup)) if note]
    return Plan(
        recipe=recipe,
        machine=machine,
        model=model,
        setup=setup,
        memory=found,
        places=places,
        advice=advise(recipe, list(knobs(recipe, setup, machine.gpus)), verdict),
        longest=_longest(recipe, model, setup, lambda tried: verdict(tried).fits),
        notes=notes,
    )


def batch_of(recipe: Recipe, trainer: str, plugins: Plugins) -> BatchPlan:
    """The trainer's own batch plan, or the one that TRL's keys come to."""
    function = plugins["trainers"].get(trainer, recipe.where("trainer", "name")).load()
    said: BatchPlan | None = function.plan(recipe)
    if said:
        return said
    ranks = recipe.launch.processes
    micro = setups.number(recipe, "per_device_train_batch_size", 8)
    steps = setups.number(recipe, "gradient_accumulation_steps", 1)
    group = setups.number(recipe, "num_generations", 8) if trainer == "grpo" else 1
    rows = micro * steps * ranks
    if rows % group:
        works = rows // group * group or group
        raise UsageError(
            f"{recipe.where('trainer', 'args')}: {ranks} ranks x {micro} x {steps} = {rows} "
            f"completions are no multiple of the group size {group}; say batch.prompts_per_step "
            f"instead, {works // group} or more, and the rest is derived"
        )
    return BatchPlan(rows // group, group, ranks, micro, steps)


def _problems(found: Memory, machine: Hardware) -> list[str]:
    """Why the plan does not fit; empty where it does."""
    problems = []
    if found.peak > machine.memory:
        problems.append(
            f"a rank needs {found.peak / GIB:.1f} GiB ({found.worst.name}), its device has "
            f"{machine.memory / GIB:.1f}"
        )
    if found.vllm and found.vllm.sequences < 1:
        problems.append(
            f"vLLM's {found.vllm.reserved / GIB:.1f} GiB hold its weights "
            f"({found.vllm.weights / GIB:.1f}) but not one sequence of full length; raise "
            "vllm_gpu_memory_utilization or vllm_tensor_parallel_size"
        )
    return problems


def _longest(recipe: Recipe, model: Architecture, setup: Setup, fits: Any) -> int | None:
    """The most tokens, in steps of 256, that a text may have so that the recipe still fits."""
    key = "max_completion_length" if setup.trainer == "grpo" else "max_length"
    room = (model.positions or 2**17) - (setup.length - setup.scored)
    low, high = 0, max(0, room // 256)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(changed(recipe, {f"trainer.args.{key}": 256 * middle})):
            low = middle
        else:
            high = middle - 1
    return 256 * low or None


def _notes(recipe: Recipe, setup: Setup) -> list[str]:
    notes = []
    if setup.trainer == "grpo":
        prompt = setup.length - setup.scored
        notes.append(f"prompts are taken to have {prompt} tokens (--prompt-tokens)")
    server = setup.sampler and setup.sampler.kind == "server"
    alone = recipe.launch.name == "local" or recipe.launch.args.get("serve_nodes")
    if server and not alone:
        notes.append("the vLLM server shares a training node; launch.args.serve_nodes gives it one")
    return notes
