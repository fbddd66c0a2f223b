"""Does the policy reason in one language, the one it was asked in?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from r1_rewards.prose import Run, runs
from r1cli import Completion, Prompt, UsageError, require, suggest

ENOUGH = 40  # letters from which a language is told reliably; 10 of Han say as much
RELATIVE = 0.25  # of the likeliest language's probability: Danish is not paid for being near Bokmal


def language_consistency(
    completions: list[Completion],
    prompts: list[Prompt],
    language: list[str | None] | None = None,
    *,
    target: str | None = None,
) -> list[float | None]:
    """The share of the words of the reasoning that are in the target language.

    Columns: `language`, a code of ISO 639-1 (`en`, `zh`; `zh-CN` is `zh`) per row; optional. Where
    it is absent or empty, the language is the one that the prompt (its last user message) is
    written in.

    Read is the reasoning, or all of a text that has no `<think>`. Code, formulas, LaTeX commands,
    tags, addresses and single letters are no words. Sentences of one script are taken together
    until they have 40 letters (Hangul 20, Han 10), and their words count when the language
    identifier finds the target at least a quarter as likely as the likeliest language. Two Han or
    kana characters are a word, and four of Thai, Lao, Tibetan, Burmese or Khmer.

    None where it cannot be decided: no script of the reasoning has as many, or no target is
    given and the prompt is as short. A script that has fewer while another has enough is foreign.

    Args:
        target: the code of the language for every row; wins over column and prompt.

    Range: [0, 1] or None. Source: DeepSeek-R1 (arXiv 2501.12948, section 2.3.2); languages by
    py3langid (extra: rewards), whose model of 4 MB is part of the package. Limits: a foreign word
    inside a sentence in the same script is not seen, and prose in a code block is not read.

    Pays:
        prompt_echoed, long_text, long_word: it says which language, not whether it makes sense.
        tags_repeated, tags_nested, tags_zero_width, tags_in_other_case, text_before, text_after:
            around the same reasoning in the same language; the form is for `format`.
    """
    require("rewards", "py3langid")
    if target is not None:
        targets: list[str | None] = [_code(target, "argument 'target'")] * len(completions)
    else:
        given = language or [None] * len(completions)
        targets = [
            _code(code, "column 'language'") if code else _language_of(_question(prompt))
            for code, prompt in zip(given, prompts, strict=True)
        ]
    return [_share(_reasoning(c), code) for c, code in zip(completions, targets, strict=True)]


language_consistency.per_sample = True  # type: ignore[attr-defined]  # prompts are not compared by


def _share(text: str, target: str | None) -> float | None:
    found = runs(text, ENOUGH)
    if target is None or not any(run.size >= ENOUGH for run in found):
        return None
    right = sum(run.words for run in found if run.size >= ENOUGH and _is(run, target))
    return min(1.0, right / sum(run.words for run in found))


def _is(run: Run, target: str) -> bool:
    likely = dict(_identifier().rank(run.text))
    return bool(likely[target] >= RELATIVE * max(likely.values()))


@lru_cache(maxsize=4096)
def _language_of(text: str) -> str | None:
    """The language of most of the words of `text`; None where it is too short to tell."""
    votes: dict[str, float] = {}
    for run in runs(text, ENOUGH):
        if run.size >= ENOUGH:
            code = _identifier().rank(run.text)[0][0]
            votes[code] = votes.get(code, 0.0) + run.words
    return max(votes, key=lambda code: votes[code]) if votes else None


def _reasoning(completion: str) -> str:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    return whole.reasoning if "</think>" in whole or "<think>" in whole else str(whole)


def _question(prompt: Prompt | None) -> str:
    if not prompt or isinstance(prompt, str):
        return str(prompt or "")
    asked = [message["content"] for message in prompt if message["role"] == "user"]
    return str(asked[-1]) if asked else ""


def _code(language: str, where: str) -> str:
    code = language.lower().replace("_", "-").partition("-")[0]
    known = _languages()
    if code not in known:
        hint = suggest(code, known) if len(code) == 2 else "write a code such as en or zh"
        raise UsageError(f"language_consistency: no language {language!r} in {where}; {hint}")
    return code


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    return frozenset(code for code, _ in _identifier().rank(""))


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Of the model's classes only those with a two-letter code: dialects such as `wuu` and creoles
    such as `pcm` take short sentences away from Chinese and English."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in identifier.nb_classes if len(code) == 2])
    return identifier
