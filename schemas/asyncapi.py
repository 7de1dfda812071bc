"""The AsyncAPI 3 document of the topics, generated from the code: ``python -m schemas.asyncapi [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from schemas.topics import MAX_RECORD_BYTES, TOPICS, Topic

PATH = Path(__file__).with_name("asyncapi.json")
SERVICES = ("capture", "encoder", "interaction", "background", "monitor")


def document() -> dict[str, Any]:
    """The whole document as plain data."""
    kinds = tuple(dict.fromkeys(kind for topic in TOPICS.values() for kind in topic.records))
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "microturn topics",
            "version": "1.0.0",
            "description": "Every record that crosses a process. Values are plain MessagePack maps; "
            "`bytes` fields, shown as base64 strings in these JSON schemas, are MessagePack bin.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/vnd.msgpack",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": _operations(),
        "components": {
            "messages": {
                kind.__name__: {
                    "name": kind.__name__,
                    "contentType": "application/vnd.msgpack",
                    "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
                }
                for kind in kinds
            },
            "schemas": components,
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Key: {topic.key.value}. "
        + (
            "Partition: murmur2 of the session id, as Kafka's default partitioner; timestamp: the key's."
            if topic.aligned
            else "One partition."
        ),
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in topic.records},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": {
                    "cleanup.policy": topic.cleanup.split(","),
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": MAX_RECORD_BYTES,
                },
                "bindingVersion": "0.5.0",
            }
        },
        "x-consumers": list(topic.consumers),
        "x-aligned": topic.aligned,
    }


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for topic in TOPICS.values():
        channel = {"$ref": f"#/channels/{topic.name}"}
        for service in topic.producers:
            operations[f"{service}.send.{topic.name}"] = {"action": "send", "channel": channel}
        for service in topic.consumers:
            if service in SERVICES:
                operations[f"{service}.receive.{topic.name}"] = {"action": "receive", "channel": channel}
    return operations


def render() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document, or with ``--check`` compare it with the committed one (exit status 1 when stale)."""
    if "--check" in arguments:
        if not PATH.exists() or PATH.read_text() != render():
            print(f"{PATH.name} is stale: run `make schemas`", file=sys.stderr)
            return 1
        return 0
    PATH.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
