"""How the context travels inside messages: pure functions that know the messages' form and no SDK.

`inject` adds the context to a message, never raises, and says what came of it. `extract` reads it; what is
malformed counts as absent. `sloctl.instrumentation.consume` then handles the message in that context.
"""

from sloctl.instrumentation.extra import needed_by

with needed_by("sloctl.instrumentation.carriers"):
    from sloctl.instrumentation.carriers import dynamodb, eventbridge, http, kafka, kinesis, mqtt, sns, sqs
    from sloctl.instrumentation.carriers.outcome import Incoming, Outcome
    from sloctl.instrumentation.carriers.textmap import TextMap, grpc, mapping, nats, rabbitmq, redis, s3

__all__ = [
    "Incoming",
    "Outcome",
    "TextMap",
    "dynamodb",
    "eventbridge",
    "grpc",
    "http",
    "kafka",
    "kinesis",
    "mapping",
    "mqtt",
    "nats",
    "rabbitmq",
    "redis",
    "s3",
    "sns",
    "sqs",
]
