"""Damage to the bytes of a file, without knowing what they mean."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

Damage = Callable[[bytes, random.Random], bytes]

_HEAD = 512
_LARGE = (2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_NUMBERS = (
    b"999999999999",
    b"-1",
    b"1e999",
    b"nan",
    b"0",
    b"18446744073709551616",
    b"2147483647",
    b"9" * 5000,
)
_TEXTS = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"../../../escaped",
    b"<script>alert(1)</script>",
    "\u202e\ud7ff\U0010ffff".encode(),
    b"\x1b[2J",
    b"%s%n",
)


def empty(content: bytes, chance: random.Random) -> bytes:
    """Nothing is left."""
    return b""


def truncated(content: bytes, chance: random.Random) -> bytes:
    """The end is missing, anywhere from the first byte on."""
    return content[: chance.randrange(1, max(2, len(content)))]


def bits_flipped(content: bytes, chance: random.Random) -> bytes:
    """Up to 64 bits are the other way round, half of the time all in the first 512 bytes."""
    within = min(len(content), _HEAD) if chance.random() < 0.5 else len(content)
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 4, 16, 64))):
        changed[chance.randrange(within)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def random_bytes(content: bytes, chance: random.Random) -> bytes:
    """Noise of the same length, at most 64 KiB, half of the time behind the true first bytes."""
    kept = content[: chance.choice((0, 4, 16, 128))] if chance.random() < 0.5 else b""
    return kept + chance.randbytes(min(len(content), 2**16))


def spliced(content: bytes, chance: random.Random) -> bytes:
    """A block of the file stands at another place too, once or many times."""
    length = chance.randrange(1, min(len(content), 4096) + 1)
    start, place = chance.randrange(len(content)), chance.randrange(len(content))
    block = content[start : start + length] * chance.choice((1, 2, 50))
    cut = place + chance.choice((0, len(block)))
    return content[:place] + block + content[cut:]


def huge_header(content: bytes, chance: random.Random) -> bytes:
    """Numbers among the first 512 bytes are as large as they can be written, or absurd."""
    head, rest = content[:_HEAD], content[_HEAD:]
    found = list(re.finditer(rb"\d+", head))
    if found and chance.random() < 0.6:
        match = chance.choice(found)
        return head[: match.start()] + chance.choice(_NUMBERS) + head[match.end() :] + rest
    changed = bytearray(head)
    size = chance.choice((4, 8))
    order = chance.choice(("little", "big"))
    for _ in range(chance.choice((1, 1, 3))):
        place = chance.randrange(0, max(1, len(head) - size), chance.choice((1, 4)))
        value = chance.choice(_LARGE) % 2 ** (8 * size)
        changed[place : place + size] = value.to_bytes(size, order)
    return bytes(changed) + rest


def absurd_numbers(content: bytes, chance: random.Random) -> bytes:
    """Numbers written as digits, anywhere, become others."""
    found = list(re.finditer(rb"[-+]?\d+\.?\d*", content[: 2**18]))
    for match in sorted(chance.sample(found, min(len(found), 3)), key=lambda m: -m.start()):
        content = content[: match.start()] + chance.choice(_NUMBERS) + content[match.end() :]
    return content


def strange_text(content: bytes, chance: random.Random) -> bytes:
    """Bytes that are no text, escapes and paths stand in between."""
    for _ in range(3):
        place = chance.randrange(len(content) + 1)
        content = content[:place] + chance.choice(_TEXTS) + content[place:]
    return content


def nested(content: bytes, chance: random.Random) -> bytes:
    """Brackets in brackets, as deep as no reader can follow."""
    opening, closing = chance.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b"x=[", b"]"), (b"<a>", b""))
    )
    deep = opening[:2] * 3 if opening == b"x=[" else b""
    return deep + opening + b"[" * 100_000 + closing


DAMAGES: Mapping[str, Damage] = {
    "empty": empty,
    "truncated": truncated,
    "bits flipped": bits_flipped,
    "random bytes": random_bytes,
    "spliced": spliced,
    "huge header": huge_header,
    "absurd numbers": absurd_numbers,
    "strange text": strange_text,
    "nested": nested,
}
