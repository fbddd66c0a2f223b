"""The language of the reasoning: pure, mixed and borderline texts of twelve languages."""

# ruff: noqa: RUF001 - the letters that look like others are the point

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from r1_rewards.language_consistency import language_consistency
from r1_rewards.prose import runs
from r1cli import Completion, UsageError

pytest.importorskip("py3langid")

TEXTS = {
    "en": "Okay, so I need to find the number of apples. Hmm. First, let's denote the total by x. "
    "Then we have x plus five equals twelve. Wait, let me check this. The answer is seven.",
    "zh": "好的，我需要求出苹果的数量。首先，设总数为x。那么我们有x加五等于十二。"
    "等等，让我再检查一遍。",
    "fr": "Bon, je dois trouver le nombre de pommes. D'abord, notons le total par x. Attends, je "
    "vérifie encore une fois. Cela signifie que la réponse devrait être sept.",
    "de": "Also, ich muss die Anzahl der Äpfel finden. Zuerst bezeichnen wir die Summe mit x. "
    "Moment, ich prüfe das noch einmal. Das bedeutet, dass die Antwort sieben ist.",
    "da": "Jeg skal finde antallet af æbler. Først kalder vi summen for x. Så har vi, at x plus "
    "fem er lig med tolv. Vent, lad mig tjekke en gang til.",
    "hr": "Dakle, moram pronaći broj jabuka. Najprije označimo ukupan broj s x. Tada imamo da je "
    "x plus pet jednako dvanaest. Čekaj, provjerit ću još jednom.",
    "ja": "では、りんごの数を求める必要があります。まず、合計をxとします。もう一度確認しましょう。",
    "ko": "좋아, 사과의 개수를 구해야 한다. 먼저 전체를 x라고 하자. 잠깐, 다시 한번 확인해 보자.",
    "ru": "Итак, нужно найти количество яблок. Сначала обозначим общее число через икс. Значит, "
    "ответ должен быть семь.",
    "ar": "حسنا، أحتاج إلى إيجاد عدد التفاحات. أولا، لنرمز للمجموع بالرمز س. دعني أتحقق مرة أخرى.",
    "hi": "ठीक है, मुझे सेबों की संख्या ज्ञात करनी है। पहले, कुल को x मान लेते हैं। मैं फिर से जाँच करता हूँ।",
    "th": "ฉันต้องหาจำนวนแอปเปิล ก่อนอื่นให้จำนวนทั้งหมดเป็นเอกซ์ จากนั้นเราจะได้ว่าเอกซ์บวกห้าเท่ากับสิบสอง",
}
EN, ZH = TEXTS["en"], TEXTS["zh"]


def one(text: str, target: str | None = "en", prompt: object = "") -> float | None:
    return language_consistency([Completion(text)], [prompt], target=target)[0]  # type: ignore[list-item]


@pytest.mark.parametrize("language", TEXTS)
def test_every_language_is_itself_and_no_other(language: str) -> None:
    scores = {target: one(TEXTS[language], target) for target in TEXTS}
    assert scores == {target: float(target == language) for target in TEXTS}


@pytest.mark.parametrize("language", TEXTS)
def test_the_prompt_says_the_language(language: str) -> None:
    messages = [
        {"role": "system", "content": "You are a helpful assistant who reasons step by step."},
        {"role": "user", "content": TEXTS[language] + r" $\text{the apples are equal to } x$"},
    ]
    for text, score in ((TEXTS[language], 1.0), (TEXTS["fr"], float(language == "fr"))):
        assert one(text, None, messages) == score
        assert one(text, None, TEXTS[language]) == score


def test_a_mixture_is_the_share_of_words() -> None:
    english, chinese = (sum(run.words for run in runs(text, 40)) for text in (EN, ZH))
    for text in (EN + "\n" + ZH, ZH + EN):
        assert one(text) == pytest.approx(english / (english + chinese))
        assert one(text, "zh") == pytest.approx(chinese / (english + chinese))


def test_one_foreign_word_costs_what_it_weighs() -> None:
    words = sum(run.words for run in runs(EN, 40))
    assert one(EN + " 方程") == pytest.approx(words / (words + 1))


def test_a_french_sentence_among_english_ones_is_seen() -> None:
    score = one(EN + "\n" + TEXTS["fr"] + "\n" + EN)
    assert score is not None and 0.5 < score < 0.75


@pytest.mark.parametrize(
    "noise",
    [
        "```python\ndef nombre_de_pommes(les_pommes, total):\n    return total\n```",
        r"\[ \text{Also ist die Antwort sechs, weil die Summe gerade ist und so weiter} \]",
        r"$\text{la réponse est donc égale à la somme des deux nombres}$",
        "`la réponse est donc égale à la somme des deux nombres`",
        "https://fr.example.org/la/reponse/est/donc/la/somme/des/deux/nombres",
        r"\frac{x}{y} \cdot \overline{ab} = 3x + 4y - z",
        "<conclusion></conclusion> x y z a b c 12 345",
    ],
)
def test_code_maths_and_addresses_are_no_words(noise: str) -> None:
    assert one(EN + "\n\n" + noise + "\n\n" + EN) == 1.0


@pytest.mark.parametrize("opener", ["$", "$$", r"\(", r"\[", "`"])
def test_an_unclosed_formula_hides_no_more_than_its_paragraph(opener: str) -> None:
    score = one(f"{EN} {opener}\n\n{ZH}")
    assert score is not None and score < 0.75


def test_only_the_reasoning_is_read() -> None:
    assert one(f"<think>{EN}</think>{ZH}") == 1.0
    assert one(f"<think>{ZH}</think>{EN}") == 0.0
    assert one(f"<think>{ZH}") == 0.0
    assert one(f"<think></think>{EN}") is None


@pytest.mark.parametrize("text", ["", "Hmm, six.", "x = 3", "六", "🙂", "$" + EN.replace(".", "")])
def test_a_short_text_is_not_applicable(text: str) -> None:
    assert one(text) is None or text.startswith("$")


def test_short_sentences_are_read_together() -> None:
    assert one("Okay so. Let me see. Now add. Then halve. We get six. That is it. Done.") == 1.0


def test_a_prompt_without_words_is_not_applicable() -> None:
    assert one(EN, None, "$x^2 = 4$, x = ?") is None
    assert one(EN, None, None) is None


def test_column_beats_prompt_and_target_beats_column() -> None:
    call = {"completions": [EN, EN, EN], "prompts": [ZH, ZH, ZH], "language": ["en-US", None, "fr"]}
    assert language_consistency(**call) == [1.0, 0.0, 0.0]  # type: ignore[arg-type]
    assert language_consistency(**call, target="en") == [1.0, 1.0, 1.0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("english", "no language 'english' in argument 'target'; write a code such as en or zh"),
        ("qq", "no language 'qq' in argument 'target'; known: .*"),
    ],
)
def test_an_unknown_language_says_what_would_work(target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        one(EN, target)


@pytest.mark.parametrize(
    "bomb",
    ["a", "\\(", "$", "`", "\\[", "<a", "\\begin{", "\\begin{a", "你", "a b ", "$$", "https://"],
)
def test_the_search_is_linear(bomb: str) -> None:
    assert len(runs(bomb * (1_000_000 // len(bomb)), 40)) <= 50_000  # quadratic: hours


def test_without_a_network_it_works() -> None:
    code = (
        "import socket; socket.socket.connect = None; socket.getaddrinfo = None\n"
        "from r1_rewards.language_consistency import language_consistency\n"
        f"print(language_consistency([{EN!r}], [''], target='en'))"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout == "[1.0]\n", done.stderr
