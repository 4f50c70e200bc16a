"""Minute blocks as database rows and as spool bytes, and two parts of a minute made one."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
GROUP_NUMBERS: Final = [*schema.GROUP_SCALARS, *schema.group_columns(schema.GROUP_BANDS, schema.GROUP_DEPTHS)]

_BITS: Final = 1 << np.arange(2 * BANDS)


def exact_of_bits(bits: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return bool [t, 2, 7] of int64 [t] `exact_bits`."""
    flags: npt.NDArray[np.bool_] = ((bits[:, None] & _BITS) != 0).reshape(-1, 2, BANDS)
    return flags


_SHARES: Final = np.dtype("<f4")
_NO_SHARES: Final = bytes(2 * BANDS * _SHARES.itemsize)


def shares_of_blobs(blobs: Iterable[bytes | None]) -> npt.NDArray[np.float64]:
    """Return unconfirmed shares, float64 [t, 2, 7], of the `shares` column."""
    raw = b"".join([_NO_SHARES if blob is None else blob for blob in blobs])
    return np.frombuffer(raw, _SHARES).astype(np.float64).reshape(-1, 2, BANDS)


def groups_of_blobs(blobs: Iterable[bytes]) -> npt.NDArray[np.float64]:
    """Return float64 [t, len(PACKED_GROUP)] of the `packed` column."""
    return np.frombuffer(b"".join(blobs), "<f8").reshape(-1, len(schema.PACKED_GROUP))


def _rows(heads: Iterable[tuple[Any, ...]], numbers: npt.NDArray[np.float64]) -> list[tuple[Any, ...]]:
    """Return each head followed by its row of numbers; NaN becomes None, the database's NULL."""
    lists = numbers.tolist()
    for k in np.flatnonzero(np.isnan(numbers).any(axis=1)).tolist():
        lists[k] = [value if value == value else None for value in lists[k]]
    return [(*head, *values) for head, values in zip(heads, lists, strict=True)]


def symbol_tuples(block: SymbolMinutes, part: str) -> list[tuple[Any, ...]]:
    """Return one tuple per symbol in the order of `SYMBOL_ROW_COLUMNS`."""
    count = len(block.symbols)
    bands = [getattr(block, name).reshape(count, 2 * BANDS) for name in schema.SYMBOL_BANDS]
    scalars = np.stack([getattr(block, name) for name in schema.SYMBOL_SCALARS], axis=1)
    exact_bits = (block.exact.reshape(count, 2 * BANDS) >= 1.0) @ _BITS
    shares = np.nan_to_num(block.unconfirmed).reshape(count, 2 * BANDS).astype(_SHARES)
    blobs = [row.tobytes() if row.any() else None for row in shares]
    constant = (block.market.value, block.minute_ms)
    heads = (
        (symbol, *constant, samples, int(block.partial), part, bits, blob)
        for symbol, samples, bits, blob in zip(
            block.symbols, block.samples.tolist(), exact_bits.tolist(), blobs, strict=True
        )
    )
    return _rows(heads, np.concatenate((*bands, scalars), axis=1))


def group_tuples(block: GroupMinutes, part: str) -> list[tuple[Any, ...]]:
    """Return one tuple per group with samples in the order of `GROUP_ROW_COLUMNS`."""
    some = np.flatnonzero(block.samples)
    scalars = np.stack([getattr(block, name)[some] for name in schema.GROUP_SCALARS], axis=1).astype(np.float64)
    both_sides = [getattr(block, name)[some].reshape(some.size, 2 * BANDS) for name in schema.GROUP_BANDS]
    depths = [getattr(block, name)[some].reshape(some.size, BANDS) for name in schema.GROUP_DEPTHS]
    numbers = np.concatenate((scalars, *both_sides, *depths), axis=1)
    packed = numbers[:, [GROUP_NUMBERS.index(name) for name in schema.PACKED_GROUP]].astype("<f8")
    constant = (block.market.value, block.minute_ms)
    heads = (
        (block.groups[k], *constant, int(block.samples[k]), int(block.partial), part, row.tobytes())
        for k, row in zip(some.tolist(), packed, strict=True)
    )
    return _rows(heads, numbers)


# -- two parts of one minute -------------------------------------------------------------------------------------


_FIXED: Final = frozenset(("symbol", "name", "market", "minute", "samples", "partial", "parts", "shares", "packed"))


def merge_rows(held: Row, new: Row) -> Row | None:
    """Return what a minute's row becomes when another part of it arrives; None: it stays as it is.

    A whole minute beats a part. Two different parts (the program was restarted within the minute) are averaged by
    their samples, shares of unconfirmed volume by their volume; counts keep their lowest value. A part that is already
    in the row changes nothing, so the order and the number of arrivals do not matter.
    """
    if not new["partial"]:
        return new
    if not held["partial"] or new["parts"] in held["parts"].split(","):
        return None
    first, second = held["samples"], new["samples"]
    merged: Row = {**held, "samples": first + second, "parts": f"{held['parts']},{new['parts']}"}
    for name in held.keys() - _FIXED:
        a, b = held[name], new[name]
        if name == "exact_bits":
            merged[name] = a & b
        elif a is None or b is None:
            merged[name] = b if a is None else a
        elif _is_count(name, of_group="name" in held):
            merged[name] = min(a, b)
        elif "_unconfirmed_" in name:
            volume = name.replace("_unconfirmed_", "_usd_")
            heavy, light = (held[volume] or 0.0) * first, (new[volume] or 0.0) * second
            merged[name] = (a * heavy + b * light) / (heavy + light) if heavy + light > 0 else 0.0
        else:
            merged[name] = (a * first + b * second) / (first + second)
    return _packed_anew(merged)


def _packed_anew(row: Row) -> Row:
    """Return the row with its compact column made from the others."""
    if "packed" in row:
        values = [math.nan if row[name] is None else row[name] for name in schema.PACKED_GROUP]
        row["packed"] = np.array(values, "<f8").tobytes()
    else:
        shares = np.array([row[name] or 0.0 for name in schema.symbol_columns("unconfirmed")], _SHARES)
        row["shares"] = shares.tobytes() if shares.any() else None
    return row


def _is_count(name: str, *, of_group: bool) -> bool:
    return of_group and (name.startswith(("included", "total", "ratio_count", "ratio_exact")) or "_exact_" in name)


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
