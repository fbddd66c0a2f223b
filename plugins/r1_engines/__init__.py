"""Engines: what turns prompts into completions."""

from r1cli import hookimpl


@hookimpl
def register_engines(register):
    register(
        "transformers",
        "r1_engines.transformers:transformers",
        help="model.generate of a local or hub model, on CPU or GPU",
    )
    register(
        "openai",
        "r1_engines.openai:openai",
        help="a model behind any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, hosted",
    )
