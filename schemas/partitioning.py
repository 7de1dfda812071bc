"""Which partition a session lives in: murmur2 of the session id alone, as Kafka's own default partitioner.

The record key also names the time, so the partition is computed here and passed explicitly; any Kafka client in
any language can do the same.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(data: bytes) -> int:
    """32-bit murmur2 as in ``org.apache.kafka.common.utils.Utils.murmur2``, as an unsigned integer."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k ^= k >> 24
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ k
    rest = length - whole
    if rest >= 3:
        h ^= data[whole + 2] << 16
    if rest >= 2:
        h ^= data[whole + 1] << 8
    if rest >= 1:
        h ^= data[whole]
        h = h * _M & _MASK
    h ^= h >> 13
    h = h * _M & _MASK
    return h ^ (h >> 15)


def partition_of(session_id: str, partitions: int) -> int:
    """The partition, in ``[0, partitions)``, of every record of this session in every topic."""
    return (murmur2(session_id.encode()) & 0x7FFFFFFF) % partitions
