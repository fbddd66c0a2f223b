"""Running model-written programs: code providers, and the rewards that test what they print."""

from r1cli import hookimpl


@hookimpl
def register_code_providers(register):
    register(
        "local",
        "r1_code.local:local",
        help="a rootless sandbox on this machine: namespaces, Landlock, seccomp",
    )
    register(
        "piston",
        "r1_code.remote.piston:piston",
        help="Piston servers: a list of URLs, or Slurm jobs",
    )
    register(
        "sandboxfusion",
        "r1_code.remote.sandboxfusion:sandboxfusion",
        help="SandboxFusion servers",
    )
    register("e2b", "r1_code.remote.e2b:e2b", help="virtual machines at e2b.dev, one a program")
    register("morph", "r1_code.remote.morph:morph", help="virtual machines at cloud.morph.so")
    register(
        "router",
        "r1_code.remote.router_client:router",
        help="what `r1 serve router` serves on another machine",
    )


@hookimpl
def register_rewards(register):
    register(
        "code",
        "r1_code.rewards.code:code_reward",
        help="share of the tests that the program in the completion passes",
    )
    register(
        "binary_code",
        "r1_code.rewards.binary_code:binary_code",
        help="1 when the program in the completion passes every test",
    )
    register(
        "code_format",
        "r1_code.rewards.code_format:code_format",
        help="1 when the answer holds a program, fenced in the wanted language",
    )
