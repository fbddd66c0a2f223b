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
        "distilabel",
        "r1_engines.distilabel:distilabel",
        help="the same kind of endpoint, asked by a distilabel pipeline; on Ray when asked",
    )
    register(
        "openai",
        "r1_engines.openai:openai",
        help="a model behind any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, hosted",
    )
    register(
        "vllm",
        "r1_engines.vllm:vllm",
        help="vLLM in this process, or behind a server of its own",
    )
