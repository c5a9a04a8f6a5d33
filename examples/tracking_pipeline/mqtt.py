"""MQTT 5 with the context in user properties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from examples.tracking_pipeline.settings import POSITIONS, Settings
from sloctl.instrumentation import carriers


def connected(settings: Settings, name: str) -> Any:
    """A client that is connected."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
    client.connect("127.0.0.1", settings.ports["mosquitto"])
    return client


def publish(client: Any, position: Mapping[str, Any]) -> None:
    """Publish a position in the current context."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = carriers.mqtt.user_properties()
    client.publish(POSITIONS, json.dumps(position), qos=1, properties=properties)
