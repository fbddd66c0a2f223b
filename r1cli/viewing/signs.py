"""TeX's names of signs, and the signs."""

# ruff: noqa: RUF001 - signs that look like others are the point


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


LETTERS = _pairs(
    """
    alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι
    kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ
    omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω ell ℓ infty ∞
    hbar ℏ partial ∂ nabla ∇ emptyset ∅ varnothing ∅ angle ∠ triangle △ Re ℜ Im ℑ
    """
)
OPERATORS = _pairs(
    r"""
    times × cdot · div ÷ pm ± mp ∓ le ≤ leq ≤ leqslant ⩽ ge ≥ geq ≥ geqslant ⩾ ne ≠ neq ≠ ll ≪ gg ≫
    approx ≈ equiv ≡ sim ∼ simeq ≃ cong ≅ propto ∝ to → rightarrow → longrightarrow ⟶ Rightarrow ⇒
    Longrightarrow ⟹ implies ⟹ iff ⟺ Leftrightarrow ⇔ leftrightarrow ↔ leftarrow ← Leftarrow ⇐
    uparrow ↑ downarrow ↓ mapsto ↦ in ∈ ni ∋ notin ∉ subset ⊂ subseteq ⊆ supset ⊃ supseteq ⊇ cup ∪
    cap ∩ bigcup ⋃ bigcap ⋂ setminus ∖ forall ∀ exists ∃ nexists ∄ mid ∣ nmid ∤ parallel ∥ perp ⊥
    circ ∘ bullet • star ⋆ ast ∗ oplus ⊕ otimes ⊗ sum ∑ prod ∏ int ∫ oint ∮ ldots … cdots ⋯ dots …
    dotsb ⋯ dotsc … vdots ⋮ ddots ⋱ land ∧ wedge ∧ lor ∨ vee ∨ neg ¬ lnot ¬ prime ′ langle ⟨
    rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lbrace { rbrace } vert | lvert | rvert | Vert ‖
    lVert ‖ rVert ‖ backslash \ colon : because ∵ therefore ∴ square □ blacksquare ■ checkmark ✓
    """
)
BLACKBOARD = _pairs("R ℝ N ℕ Z ℤ Q ℚ C ℂ P ℙ E 𝔼 F 𝔽")
ACCENTS = _pairs(
    "bar ¯ overline ¯ hat ^ widehat ^ vec → overrightarrow → tilde ~ widetilde ~ dot ˙ ddot ¨"
)
FUNCTIONS = frozenset(
    word
    for line in (
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim max min sup",
        "inf gcd lcm det dim ker deg arg mod bmod Pr",
    )
    for word in line.split()
)
SPACES = _pairs(", 0.17em ; 0.28em : 0.22em ! 0em quad 1em qquad 2em") | {" ": "0.25em"}
