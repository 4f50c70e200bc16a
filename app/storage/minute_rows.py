"""Minute blocks as database rows and as spool bytes, and two parts of a minute made one."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from app.domain.errors import StorageError
from app.domain.ids import Market
from app.indicators.window import BANDS
from app.storage import schema
from app.storage.rows import GroupMinutes, MinuteBlock, SymbolMinutes

Row = dict[str, Any]

SYMBOL_ROW_COLUMNS: Final = [column.name for column in schema.symbol_minutes.columns]
GROUP_ROW_COLUMNS: Final = [column.name for column in schema.group_minutes.columns]

_BITS: Final = 1 << np.arange(2 * BANDS)


def exact_of_bits(bits: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return bool [t, 2, 7] of int64 [t] `exact_bits`."""
    flags: npt.NDArray[np.bool_] = ((bits[:, None] & _BITS) != 0).reshape(-1, 2, BANDS)
    return flags


def _numbers(*parts: npt.NDArray[Any]) -> list[float | None]:
    flat = np.concatenate([part.astype(np.float64).reshape(-1) for part in parts])
    return [value if value == value else None for value in flat.tolist()]


def symbol_tuples(block: SymbolMinutes, part: str) -> list[tuple[Any, ...]]:
    """Return one tuple per symbol in the order of `SYMBOL_ROW_COLUMNS`."""
    rows = []
    for k, symbol in enumerate(block.symbols):
        values = _numbers(
            *(getattr(block, name)[k] for name in schema.SYMBOL_BANDS),
            np.array((block.best_bid[k], block.best_ask[k], block.mid[k], block.spread[k])),
        )
        head = (symbol, block.market.value, block.minute_ms, int(block.samples[k]), int(block.partial), part)
        exact_bits = int((block.exact[k].reshape(-1) >= 1.0) @ _BITS)
        rows.append((*head, exact_bits, int((block.unconfirmed[k] > 0).any()), *values))
    return rows


def group_tuples(block: GroupMinutes, part: str) -> list[tuple[Any, ...]]:
    """Return one tuple per group with samples in the order of `GROUP_ROW_COLUMNS`."""
    rows = []
    for k, name in enumerate(block.groups):
        if not block.samples[k]:
            continue
        values = _numbers(
            np.array((block.vw_mid[k], block.included[k], block.total[k])),
            *(getattr(block, quantity)[k] for quantity in schema.GROUP_BANDS),
            *(getattr(block, quantity)[k] for quantity in schema.GROUP_DEPTHS),
        )
        head = (name, block.market.value, block.minute_ms, int(block.samples[k]), int(block.partial), part)
        rows.append((*head, *values))
    return rows


# -- two parts of one minute -------------------------------------------------------------------------------------


def merge_rows(held: Row, new: Row) -> Row | None:
    """Return what a minute's row becomes when another part of it arrives; None: it stays as it is.

    A whole minute beats a part. Two different parts (the program was restarted within the minute) are averaged by
    their samples; counts keep their lowest value. A part that is already in the row changes nothing.
    """
    if not new["partial"]:
        return new
    if not held["partial"] or new["parts"] in held["parts"].split(","):
        return None
    first, second = held["samples"], new["samples"]
    merged: Row = {**held, "samples": first + second, "parts": f"{held['parts']},{new['parts']}"}
    for name in held:
        if name in ("symbol", "name", "market", "minute", "samples", "partial", "parts"):
            continue
        a, b = held[name], new[name]
        if name == "exact_bits":
            merged[name] = a & b
        elif name == "loose":
            merged[name] = a | b
        elif a is None or b is None:
            merged[name] = b if a is None else a
        elif name.startswith(("included", "total", "ratio_count", "ratio_exact")) or (
            "name" in held and "_exact_" in name
        ):
            merged[name] = min(a, b)
        elif "_unconfirmed_" in name:
            volume = name.replace("_unconfirmed_", "_usd_")
            heavy, light = (held[volume] or 0.0) * first, (new[volume] or 0.0) * second
            merged[name] = (a * heavy + b * light) / (heavy + light) if heavy + light > 0 else 0.0
        else:
            merged[name] = (a * first + b * second) / (first + second)
    return merged


# -- spool -------------------------------------------------------------------------------------------------------

_ARRAY: Final = "\x00array"


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {_ARRAY: [value.dtype.str, list(value.shape), value.tobytes()]}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _pack(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Market):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _unpack_array(value: Any) -> npt.NDArray[Any]:
    dtype, shape, data = value[_ARRAY]
    if dtype not in ("<f8", "<i8", ">f8", ">i8"):
        raise StorageError(f"spooled array of unknown type {dtype!r}")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def pack_block(block: MinuteBlock, part: str) -> bytes:
    """Return a minute as bytes."""
    return msgspec.msgpack.encode({"part": part, "block": _pack(block)})


def unpack_block(raw: bytes) -> tuple[MinuteBlock, str]:
    """Return a minute and its part id; raise StorageError when the bytes are not a whole minute."""
    try:
        document = msgspec.msgpack.decode(raw)
        halves: list[dict[str, Any]] = []
        for name in ("symbols", "groups"):
            half: dict[str, Any] = {
                key: _unpack_array(value) if isinstance(value, dict) else value
                for key, value in document["block"][name].items()
            }
            half["market"] = Market(half["market"])
            half[name] = tuple(half[name])
            halves.append(half)
        block = MinuteBlock(symbols=SymbolMinutes(**halves[0]), groups=GroupMinutes(**halves[1]))
        return block, str(document["part"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise StorageError(f"a spooled minute cannot be read: {error}") from error
