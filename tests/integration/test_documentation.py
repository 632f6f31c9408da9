"""The documentation agrees with the project: links lead somewhere, and the commands and options in it exist."""

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from flows.cli.main import COMMANDS
from tests.conftest import ROOT

README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Experiments and the change log also name commands of earlier versions.
CURRENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md" and path.parent.name != "experiments"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
# Options of other programs that are named alone, not in a command.
OTHER_OPTIONS: set[str] = set()

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
current = pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))


def find_anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    text = FENCE.sub("", path.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_relative_links_and_images_exist(path: Path) -> None:
    missing = []
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in find_anchors(file)):
            missing.append(target)
    assert missing == []


def test_readme_has_at_most_150_lines() -> None:
    assert len(README.read_text().splitlines()) <= 150


def find_commands(text: str) -> Iterator[list[str]]:
    """Yield the commands in the code of a document, as words; those of a pipe are separate commands."""
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    lines = [line for block in blocks for line in block.splitlines()]
    for code in [*lines, *INLINE.findall(FENCE.sub("", text))]:
        for command in code.split(" | "):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:  # not a command: a quote that is not closed
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # environment variables before the program
                words = words[1:]
            if words:
                yield [Path(words[0]).name, *words[1:]]


@cache
def find_options(*command: str) -> set[str]:
    """Return the options that the help of a command lists."""
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", done.stdout))


def find_subcommand_options(subcommand: str) -> set[str]:
    return find_options(sys.executable, "-m", "flows.cli", subcommand)


SUBCOMMANDS = tuple(COMMANDS)


@current
def test_commands_of_the_project_and_their_options_exist(path: Path) -> None:
    unknown = []
    for program, *words in find_commands(path.read_text()):
        if program != "imdb-compare" or not words:
            continue
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if words[0] not in SUBCOMMANDS or options - find_subcommand_options(words[0]) - {"--help"}:
            unknown.append(words)
    assert unknown == []


@current
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {words[0] for program, *words in find_commands(path.read_text()) if program == "make" and words}
    assert used - targets == set()


@current
def test_options_passed_through_make_run_exist(path: Path) -> None:
    passed = re.findall(r'make run ARGS="([^"…]+)"', path.read_text())
    options = {word.partition("=")[0] for words in passed for word in words.split() if word.startswith("--")}
    assert not options or options <= find_subcommand_options("run")


@current
def test_python_modules_exist(path: Path) -> None:
    used = {
        words[1]
        for program, *words in find_commands(path.read_text())
        if program.startswith("python") and len(words) > 1 and words[0] == "-m"
    }
    assert {module for module in used if importlib.util.find_spec(module) is None} == set()


@current
def test_options_named_alone_belong_to_a_subcommand(path: Path) -> None:
    named = {
        code.split()[0].partition("=")[0]
        for code in INLINE.findall(FENCE.sub("", path.read_text()))
        if re.match(r"--[a-z]", code)
    }
    known = set().union(*map(find_subcommand_options, SUBCOMMANDS)) if named else set()
    assert named - known - OTHER_OPTIONS == set()


def test_commands_are_found_in_blocks_and_in_inline_code() -> None:
    text = "Use `imdb-compare run --quick` or\n\n```\nA=1 .venv/bin/imdb-compare predict \\\n  --json | head\n```\n"
    assert list(find_commands(text)) == [
        ["imdb-compare", "predict", "--json"], ["head"], ["imdb-compare", "run", "--quick"],
    ]  # fmt: skip


def test_documents_contain_commands_of_all_subcommands() -> None:
    used = {
        words[0]
        for path in CURRENT
        for program, *words in find_commands(path.read_text())
        if program == "imdb-compare" and words
    }
    assert used >= set(SUBCOMMANDS)
