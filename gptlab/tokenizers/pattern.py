r"""How text is cut into words before any merging: one pattern, read alike by the trainer and the encoder.

It follows GPT-4's (words with one leading space or mark, digits in groups of at most three, runs of marks with the
line breaks after them), changed in three ways. The marks of a link stand alone: `[`, `]`, `](` and `)` are words, so
never merged with neighbours, the token that completes a link is always `)`, and a model always sees the parts of a
link as the same three tokens. Combining marks count as letters, so that no script is torn at its vowel signs. Runs of
white space are cut at 64, because tiktoken's backtracking dies (StackOverflow) on a page with a million spaces.

Possessive and case-folding parts are left out: the two engines (Oniguruma in `tokenizers`, fancy-regex in `tiktoken`)
read them differently. A property test holds the engines to equal ids.

Source: tiktoken's `cl100k_base` (https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py).
"""

LINK_MARKS = ("[", "](", ")")
"""The three tokens that every link has, in this order; the last completes it."""

PATTERN = "|".join(
    (
        r"\]\(?|[\[)]",
        r"'(?:[sdmt]|ll|ve|re)",
        r"[^\r\n\p{L}\p{M}\p{N}\[\])]?[\p{L}\p{M}]+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{M}\p{N}\[\])]+[\r\n]*",
        r"[\r\n]+",
        r"\s{1,64}(?!\S)",
        r"\s{1,64}",
    )
)
"""For `tiktoken.Encoding(pat_str=...)` and for `tokenizers.Regex` alike."""
