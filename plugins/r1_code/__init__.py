"""Running model-written programs: code providers, and the rewards that test what they print."""

from r1cli import hookimpl


@hookimpl
def register_code_providers(register):
    register(
        "local",
        "r1_code.local:local",
        help="a rootless sandbox on this machine: namespaces, Landlock, seccomp",
    )
