"""Templates as the models ship them, rendered by jinja2 as transformers does."""

import pytest

from r1cli.chat import prefill, render
from r1cli.errors import UsageError

jinja2 = pytest.importorskip("jinja2", reason="chat templates are Jinja")

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\nTAIL{% endif %}"
)
TEMPLATES = {
    "chatml": (CHATML.replace("TAIL", ""), ""),
    "qwen3-thinking": (CHATML.replace("TAIL", "<think>\n"), "<think>\n"),
    "qwen3": (
        CHATML.replace("TAIL", "{% if no_think %}<think>\n\n</think>\n\n{% endif %}"),
        "",
    ),
    "r1-distill": (
        "<BOS>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}",
        "<think>\n",
    ),
    "opens unasked": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: <think>",
        "<think>",
    ),
    "strips": (
        CHATML.replace("m.content", "m.content | trim").replace("TAIL", "<think>\n"),
        "<think>\n",
    ),
}
CONTENTS = ["1 + 1?", "assistant", " spaces \n", "a </think> b", "日本"]
HARD = ["", "think", "n", "<think>"]
"""Contents that the template's own text repeats after them."""


class Tokenizer:
    def __init__(self, template):
        self.template = jinja2.Template(template)

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt, **extra):
        assert tokenize is False
        return self.template.render(
            messages=messages, add_generation_prompt=add_generation_prompt, **extra
        )


@pytest.mark.parametrize("system", [None, "Reason inside <think> </think>."])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (name, content)
        for name in TEMPLATES
        for content in (CONTENTS if name == "opens unasked" else [*CONTENTS, *HARD])
    ],
)
def test_the_prefill_is_what_the_template_opens(name, system, content):
    template, expected = TEMPLATES[name]
    messages = [{"role": "user", "content": content}]
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    assert prefill(Tokenizer(template), messages) == expected


def test_template_arguments_reach_the_template():
    tokenizer = Tokenizer(TEMPLATES["qwen3"][0])
    messages = [{"role": "user", "content": "hi"}]
    assert prefill(tokenizer, messages, no_think=True) == "<think>\n\n</think>\n\n"


def test_a_template_that_fails_is_one_line():
    def fails(said):
        raise ValueError(f"{said}\n only")

    template = Tokenizer("{{ fails(messages[0].role) }}")
    with pytest.raises(UsageError, match=r"^the chat template of the model fails: user only$"):
        render(template, [{"role": "user", "content": "x"}], fails=fails)


def test_a_model_without_a_template():
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pytest.importorskip("tokenizers").Tokenizer(
            pytest.importorskip("tokenizers.models").WordLevel({"x": 0}, unk_token="x")
        )
    )
    with pytest.raises(UsageError, match=r"has no chat template, .*: put a chat_template\.jinja"):
        render(tokenizer, [{"role": "user", "content": "x"}])


def test_text_goes_as_it_is():
    assert render(None, "<think>1 + 1") == "<think>1 + 1"
    assert prefill(None, "1 + 1 <think>") == ""


@pytest.mark.parametrize(
    ("name", "forced", "whole"),
    [
        ("chatml", "<think>\n", "<think>\n"),
        ("qwen3-thinking", "<think>\n", "<think>\n"),
        ("qwen3-thinking", "<think>", "<think>\n"),
        ("qwen3-thinking", "<think>\nWell", "<think>\nWell"),
        ("qwen3-thinking", "<think> Well", "<think>\n Well"),
        ("r1-distill", "<think>\n", "<think>\n"),
        ("opens unasked", "<think>\n", "<think>"),
        ("chatml", "The answer", "The answer"),
    ],
)
def test_a_forced_beginning_stands_behind_the_templates_own_and_is_counted_once(
    name, forced, whole
):
    tokenizer = Tokenizer(TEMPLATES[name][0])
    asked = [{"role": "user", "content": "1 + 1?"}]
    begun = [*asked, {"role": "assistant", "content": forced}]
    assert prefill(tokenizer, begun) == whole
    before = render(tokenizer, asked)
    assert render(tokenizer, begun) == before.removesuffix(prefill(tokenizer, asked)) + whole


def test_a_template_that_ends_the_thought_does_not_pass_for_one_that_opens_it():
    begun = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>\n"}]
    tokenizer = Tokenizer(TEMPLATES["qwen3"][0])
    assert prefill(tokenizer, begun, no_think=True) == "<think>\n\n</think>\n\n<think>\n"
