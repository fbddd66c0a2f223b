"""The tokenizer of the tiny model: bytes, plus one token for each thing a chained sum is made of.

Any text encodes and decodes without loss, because what is not one of the words below falls back to
its UTF-8 bytes. Numbers up to 99 are single tokens, so that one step of the work is one look-up in
a table, which a model this small can learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
ROLES = ("system\n", "user\n", "assistant\n")
WORDS = (*ROLES, "Compute ", *(str(number) for number in range(10, 100)))
PIECES = r"(?:system|user|assistant)Ċ|ComputeĠ|[1-9][0-9]|."

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if not loop.first %}{{ '\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML, except that the line break stands between messages: a conversation ends with its EOS."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: at most 512 tokens, `<|im_end|>` ends a turn, padding on the left.

    The tags are added tokens but not special ones: decoding with `skip_special_tokens=True`, which
    is how trainers hand completions to rewards, must keep them.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [byte_level.pre_tokenize_str(word)[0][0] for word in WORDS]
    vocabulary = [PAD, START, END, *TAGS, *words, *sorted(byte_level.alphabet())]
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=PAD)
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (PAD, START, END)])
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [byte_level, pre_tokenizers.Split(Regex(PIECES), "isolated")]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
    )
