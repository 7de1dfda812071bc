"""A client of ``/v1/stream`` in Python: for the demo, the benchmark and the tests."""

from infra.client.stream import Disconnected, Refusal, StreamClient

__all__ = ["Disconnected", "Refusal", "StreamClient"]
