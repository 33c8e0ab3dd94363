# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell in a terminal, to test what a user sees after pressing a key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pexpect

ROOT = Path(__file__).parents[2]
#: Timeout for any output, seconds; a cold TAB loads the whole client.
TIMEOUT = 240

COMMANDS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
SETUP = {
    "bash": [
        "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; bind 'set page-completions off'",
        "bind 'set completion-query-items 0'; bind 'set show-all-if-ambiguous on'",
        f"PS1='READY> '; . {ROOT}/completion/fedpkg-container.bash",
    ],
    "zsh": [
        "PROMPT='READY> '; RPROMPT=; unsetopt zle_bracketed_paste prompt_cr prompt_sp; unset zle_bracketed_paste",
        "LISTMAX=10000; setopt no_auto_menu no_list_ambiguous; autoload -Uz compinit; compinit -u -D",
        f". {ROOT}/completion/_fedpkg-container",
    ],
    "fish": [
        "function fish_prompt; echo 'READY> '; end; function fish_greeting; end",
        f"set -g fish_autosuggestion_enabled 0; source {ROOT}/completion/fedpkg-container.fish",
    ],
}
_COLOURS = re.compile(r"\x1b(\[[0-9;]*m|\([A-Z0-9])")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEHMNOZ])")


class Shell:
    """A shell with our completion; its input and output."""

    def __init__(self, name: str, environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        env = {**environment, "TERM": "dumb" if name == "bash" else "xterm", "LC_ALL": "C.UTF-8", "INPUTRC": os.devnull}
        self._child = pexpect.spawn(
            name, COMMANDS[name], env=env, cwd=str(directory), encoding="utf-8", codec_errors="replace",
            timeout=TIMEOUT, dimensions=(200, 250),
        )  # fmt: skip
        self._number = 0
        for number, line in enumerate(SETUP[name]):
            self._child.sendline(f"{line}; echo set up {number + 100}")
            self._child.expect(f"up {number + 100}\r?\n")

    def tab(self, line: str) -> Shown:
        """Type a line and press TAB, then have the shell print the resulting words.

        The shell reads the input after the TAB only when completion has finished: no fixed delays are needed.
        """
        self._number += 1
        start, end = f"words {self._number} begin", f"words {self._number} end"
        self._child.send(f"{line}\t")
        # To the start of the line, which becomes the arguments of a program that prints them.
        self._child.send(f"\x01printf '<%s>\\n' '{start[:6]}''{start[6:]}' \x05 '{end[:6]}''{end[6:]}'\r")
        self._child.expect_exact(f"<{end}>")
        # Colours may change within a word, the cursor position may not.
        text = _ESCAPES.sub("\n", _COLOURS.sub("", self._child.before or "")).replace("\r", "")
        screen, _, after = text.partition(f"<{start}>\n")
        screen = screen.replace(line, "")  # shells redraw the line repeatedly
        return Shown(screen, re.findall(r"^<(.*)>$", after, re.MULTILINE))

    def run(self, line: str) -> str:
        """Run a command; return its output."""
        self._number += 1
        self._child.sendline(f"{line}; echo ran {self._number + 100}")
        self._child.expect(f"ran {self._number + 100}\r?\n")
        return self._child.before or ""

    def close(self) -> None:
        """End the shell."""
        self._child.close(force=True)


class Shown:
    """The result of a TAB.

    :param screen: all output, without escape sequences
    :param words: the words of the line afterwards, as parsed by the shell
    """

    def __init__(self, screen: str, words: list[str]) -> None:
        self.screen = screen
        self.words = words

    def offers(self, value: str) -> bool:
        """Return whether a value was listed, as a separate word."""
        return re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", self.screen) is not None
