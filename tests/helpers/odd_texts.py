"""Texts that are unusual but valid: without words, very long, with other scripts, or with invalid characters."""

ODD_TEXTS = [
    "", "   ", "<br />", "<br /><br />", "zzz qqq", "🎬🍿", "\u202eright to left", "עברית", "x\ud800y", "\0",
    "good " * 2_000, "x" * 5_000_000, "good", "\n\t", "a\u0300" * 50,
]  # fmt: skip
