"""Samples as text and as one HTML file, which a real browser draws without a network."""

# ruff: noqa: RUF001 - signs that look like others are meant

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from html import escape, unescape

import pytest

from r1cli.viewing import text
from r1cli.viewing.choose import choose
from r1cli.viewing.tex import UnknownTeXError, mathml

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)


def plain(html):
    """What a reader sees of it."""
    return unescape(re.sub(r"<[^>]*>", "", html))


# -- mathematics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tex", "parts"),
    [
        (r"\frac{a}{b}", ["<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"]),
        (r"\frac12", ["<mfrac><mn>1</mn><mn>2</mn></mfrac>"]),
        ("x^12", ["<msup><mi>x</mi><mrow><mn>1</mn></mrow></msup><mn>2</mn>"]),
        ("10^{12}", ["<msup><mn>10</mn>", "<mn>12</mn>"]),
        ("3.14.", ["<mn>3.14</mn><mo>.</mo>"]),
        ("a_1^2", ["<msubsup><mi>a</mi>"]),
        (r"\sum_{i=1}^n i", ["<munderover><mo>∑</mo>"]),
        (r"\sqrt[3]{x}", ["<mroot>"]),
        (r"f'(x)", ["<msup><mi>f</mi>", "′"]),
        (r"\left(0,\infty\right]", ["<mo>(</mo>", "∞", "<mo>]</mo>"]),
        (r"\text{ if } x \le 2", ["<mtext> if </mtext>", "≤"]),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", ["<mo>(</mo><mtable>", "<mtr><mtd>"]),
        (r"\begin{cases} 1 & a \\ 2 \end{cases}", ["<mo>{</mo><mtable>"]),
        (r"\mathbb{R}", ["ℝ"]),
        (r"\boxed{7}", ['<mrow class="boxed">']),
        ("a<b", ["<mo>&lt;</mo>"]),
        ("5\\%", ["<mo>%</mo>"]),
    ],
)
def test_tex_becomes_mathml(tex, parts):
    found = mathml(tex)
    assert [part for part in parts if part not in found] == [], found
    assert f'title="{escape(tex)}"' in found


@pytest.mark.parametrize(
    "tex",
    [
        *(r"\begin{cases}1\end{array}", "a & b", r"\text{\$5}"),
        r"\frobnicate{x}",
        r"\frac{a",
        "a}b",
        r"\left(x",
        r"\begin{tikz}x\end{tikz}",
        "x^",
        "{" * 5000,
        r"\bar" * 499 + "x",
    ],
)
def test_tex_that_is_not_known_is_no_half_formula(tex):
    with pytest.raises(UnknownTeXError):
        mathml(tex)
    assert plain(text.html(f"see ${tex}$ there")) == f"see ${tex}$ there"


@pytest.mark.parametrize(
    "said",
    [
        "it costs $5 and $6 more",
        "5 dollars$",
        "a < b & c > d",
        "$ x$ no",
        "\\$5 and \\$6",
        "no end $x",
    ],
)
def test_text_stays_text(said):
    found = text.html(said)
    assert "<math" not in found and plain(found) == said


def test_a_loop_of_beginnings_is_read_once():
    said = r"\[ " * 20_000 + r"\(x " * 20_000
    started = time.perf_counter()
    assert plain(text.html(said)) == said
    assert time.perf_counter() - started < 10  # a minute, were each searched for its end


def test_a_row_of_a_table_may_begin_with_a_space_of_its_own():
    said = r"\[\begin{aligned} a &= 1 \\[4pt] b &= 2 \end{aligned}\]"
    assert text.html(f"so {said}").count("<mtr>") == 2


def test_reasoning_is_folded_and_code_is_coloured():
    said = "<think>\nfirst $x^2$\n</think>\nSo:\n```python\nprint('<b>')\n```\ndone"
    found = text.html(said)
    assert "<details><summary>reasoning, 11 characters</summary>" in found
    assert '<pre class="code"><span class="nb">print</span>' in found and "&lt;b&gt;" in found
    assert "<msup>" in found.partition("</details>")[0]
    opened = text.html("<think>on and on")
    assert "<details open><summary>reasoning, 9 characters, not closed" in opened
    assert "prefilled" in text.html("prefilled</think>yes").partition("</details>")[0]
    assert plain(text.html("```nolanguage\nx\n```")) == "x\n"


# -- choosing --------------------------------------------------------------------------------------


def sample(problem, number, score, completion="Say $x$.", **more):
    return {
        "problem": problem,
        "sample": number,
        "hash": str(problem),
        "prompt": [{"role": "user", "content": f"What is $\\frac{{1}}{{2}}$ of {problem}?"}],
        "prefill": "",
        "completion": completion,
        "tokens": 7,
        "truncated": False,
        "score": score,
        "failed": "",
        "gold": "18",
        "measures": {},
        "answer": "18" if score else None,
        **more,
    }


SAMPLES = [
    sample(0, 0, 1.0),
    sample(0, 1, 0.0, truncated=True),
    sample(
        1,
        0,
        0.0,
        "<think>\nhm\n</think>\n\\[\\frac{3}{4}\\]\n```python\nprint(1)\n```",
        answer="3/4",
    ),
    sample(1, 1, 0.0),
    sample(2, 0, None, failed="the judge was down"),
]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]),
        (["right"], [(0, 0)]),
        (["wrong"], [(0, 1), (1, 0), (1, 1)]),
        (["disagreement"], [(0, 0), (0, 1)]),
        (["wrong", "disagreement"], [(0, 1)]),
        (["truncated"], [(0, 1)]),
        (["unparseable"], [(0, 1), (1, 1), (2, 0)]),
    ],
)
def test_samples_are_chosen_by_their_marks(wanted, places):
    assert [(s["problem"], s["sample"]) for s, _ in choose(SAMPLES, wanted)] == places


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "out" / "eval" / "sums-0-m.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in SAMPLES))
    about = {"benchmark": "sums", "citation": "here", "spec": {"hash": "abc"}, "model": "m"}
    path.with_suffix(".json").write_text(json.dumps(about))
    return tmp_path / "out"


def test_in_the_terminal(folder, r1):
    shown = r1("view", folder, "--wrong", "--limit", 1)
    assert shown.stdout.startswith(
        "── problem 0, sample 1 · wrong · truncated · unparseable · disag"
    )
    assert "What is $\\frac{1}{2}$ of 0?" in shown.stdout
    assert shown.stderr == "1 of 3 chosen samples, 5 in all\n"
    told = json.loads(r1("view", folder, "--problem", 1, "--json").stdout)
    assert [row["answer"] for row in told] == ["3/4", None]
    nothing = r1("view", folder, "--benchmark", "sum")
    assert nothing.exit_code == 2 and "did you mean 'sums'?" in nothing.stderr
    none = r1("view", folder.parent)
    assert none.exit_code == 2 and "holds no samples" in none.stderr


def test_a_long_completion_is_cut_in_the_middle_unless_asked_for(tmp_path, r1):
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps(sample(0, 0, 1.0, "a" * 2000 + "z" * 2000)) + "\n")
    assert "2,500 characters, see --full" in r1("view", path).stdout
    assert "a" * 2000 + "z" * 2000 in r1("view", path, "--full").stdout


def test_a_completion_does_not_command_the_terminal(tmp_path, r1):
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps(sample(0, 0, 1.0, "a\x1b[2Jb\u202ec\rd\r\n\te")) + "\n")
    shown = r1("view", path).stdout
    assert r"a\x1b[2Jb\u202ec\rd" in shown and "\x1b" not in shown and "\n\te" in shown


def test_the_page_is_one_file_that_asks_for_nothing(folder, r1):
    done = r1("view", folder, "--html", "page.html")
    assert done.exit_code == 0 and "wrote 5 of 5 samples to page.html" in done.stderr
    page = (folder.parent / "page.html").read_text()
    assert not re.search(r"<(script|link|img|iframe)|\b(src|href)=|url\(|@import", page)
    assert page.count("<article") == 5 and "spec abc" in page and "the judge was down" in page


PROBE = """<script>
const seen = () => [...document.querySelectorAll("article")].filter(a => a.offsetHeight).length;
const pick = name => { document.getElementById("only-" + name).checked = true; return seen(); };
const found = {all: seen(), wrong: pick("wrong"), right: pick("right"), disagreement:
  pick("disagreement"), back: pick("all")};
document.querySelectorAll("details").forEach(d => d.open = true);
const [over, under] = document.querySelector("mfrac").children;
found.stacked = over.getBoundingClientRect().bottom <= under.getBoundingClientRect().top + 2;
found.wide = document.documentElement.scrollWidth <= window.innerWidth;
const code = document.querySelector("pre.code span");
found.coloured = getComputedStyle(code).color != getComputedStyle(document.body).color;
document.title = JSON.stringify(found);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_real_browser_sets_mathematics_colours_code_and_filters(folder, tmp_path, r1):
    r1("view", folder, "--html", "page.html")
    page = (tmp_path / "page.html").read_text().replace("</body>", PROBE + "</body>")
    (tmp_path / "probed.html").write_text(page)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,900", profile)
    command = [BROWSER, *flags, "--dump-dom", (tmp_path / "probed.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    title = re.search("<title>(.*?)</title>", done.stdout, re.S)
    assert title, done.stderr[-2000:]
    assert json.loads(unescape(title[1])) == {
        "all": 5,
        "wrong": 3,
        "right": 1,
        "disagreement": 2,
        "back": 5,
        "stacked": True,
        "wide": True,
        "coloured": True,
    }
