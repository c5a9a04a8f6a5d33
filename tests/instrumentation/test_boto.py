"""The AWS SDK carries the context by itself, to a real HTTP server that stores and hands out what it got."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from sloctl.instrumentation import RequestContext, boto, carriers
from sloctl.instrumentation.carriers import outcome
from sloctl.instrumentation.context import entered
from testing.brokers import REGION, moto
from tests.instrumentation.conftest import Configure

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("moto")]
ID = "request-0001"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def aws(endpoint: str, observed: Configure, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A maker of clients whose session is installed, within a request."""
    monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
    observed()
    session = boto3.Session("none", "none", region_name=REGION)
    boto.install(session)
    boto.install(session)  # twice is once

    def client(service: str, kind: str = "client") -> Any:
        return getattr(session, kind)(service, endpoint_url=endpoint)

    with entered(RequestContext(ID, tenant_id="acme")):
        yield client


def test_a_message_to_sqs_and_back(aws: Any) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="plain")["QueueUrl"]
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    mine = copy.deepcopy(attributes)
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    assert attributes == mine
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert carriers.sqs.extract(message).fields["x-request-id"] == ID
    assert message["Body"] == "x"


def test_a_batch_to_sqs_and_its_entries(aws: Any) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="batch")["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(3)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert all(set(entry) == {"Id", "MessageBody"} for entry in entries)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [carriers.sqs.extract(message).fields["x-request-id"] for message in messages] == [ID] * 3


def test_ten_attributes_are_never_eleven(aws: Any) -> None:
    """moto takes eleven, AWS refuses them: the limit is asserted here."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="full")["QueueUrl"]
    attributes = {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(10)}
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)
    received = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
    (message,) = received["Messages"]
    assert len(message["MessageAttributes"]) == 10


def test_sns_to_sqs_with_and_without_raw_delivery(aws: Any) -> None:
    sqs, sns = aws("sqs"), aws("sns")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    urls = {}
    for raw in ("true", "false"):
        urls[raw] = sqs.create_queue(QueueName=f"raw-{raw}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=urls[raw], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
    sns.publish(TopicArn=topic, Message="x")
    sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "y"}])
    for url in urls.values():
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [carriers.sqs.extract(message).fields["x-request-id"] for message in messages] == [ID] * 2


def test_events_and_records(aws: Any) -> None:
    events, kinesis = aws("events"), aws("kinesis")
    assert events.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}"}])["FailedEntryCount"] == 0
    kinesis.create_stream(StreamName="stream", ShardCount=1)
    kinesis.put_record(StreamName="stream", Data=b'{"a": 1}', PartitionKey="k")
    records = [{"Data": b"no json", "PartitionKey": "k"}, {"Data": b"{}", "PartitionKey": "k"}]
    kinesis.put_records(StreamName="stream", Records=records)
    assert [record["Data"] for record in records] == [b"no json", b"{}"]
    shard = kinesis.describe_stream(StreamName="stream")["StreamDescription"]["Shards"][0]["ShardId"]
    where = {"StreamName": "stream", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    found = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**where)["ShardIterator"])["Records"]
    ids = [carriers.kinesis.extract(record).fields.get("x-request-id") for record in found]
    assert ids == [ID, None, ID]


def table(aws: Any, name: str) -> Any:
    aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return aws("dynamodb", "resource").Table(name)


def test_items_of_a_client_and_of_a_table_resource(aws: Any) -> None:
    resource, client = table(aws, "items"), aws("dynamodb")
    item = {"id": "1", "n": 7}
    resource.put_item(Item=item)
    assert item == {"id": "1", "n": 7}
    client.put_item(TableName="items", Item={"id": {"S": "2"}})
    resource.update_item(Key={"id": "3"}, UpdateExpression="SET a = :a", ExpressionAttributeValues={":a": "x"})
    with resource.batch_writer() as batch:
        batch.put_item(Item={"id": "4"})
    client.transact_write_items(TransactItems=[{"Put": {"TableName": "items", "Item": {"id": {"S": "5"}}}}])
    for number in "12345":
        stored = client.get_item(TableName="items", Key={"id": {"S": number}})["Item"]
        assert carriers.dynamodb.extract_item(stored).fields["x-request-id"] == ID, number
    assert resource.get_item(Key={"id": "1"})["Item"]["_ctx"]["x-tenant-id"] == "acme"


def test_an_item_of_a_resource_that_looks_like_the_services_form(aws: Any) -> None:
    resource, client = table(aws, "looks-typed"), aws("dynamodb")
    resource.put_item(Item={"id": "1", "schema": {"S": "x"}})
    resource.update_item(Key={"id": "2"}, UpdateExpression="SET s = :s", ExpressionAttributeValues={":s": {"S": "x"}})
    for number in "12":
        stored = client.get_item(TableName="looks-typed", Key={"id": {"S": number}})["Item"]
        assert carriers.dynamodb.extract_item(stored).fields["x-request-id"] == ID
        assert set(stored["_ctx"]["M"]["x-request-id"]) == {"S"}


def test_a_call_with_an_idempotency_token_is_left_alone(aws: Any) -> None:
    """A redelivered message repeats its transaction: other parameters would be refused."""
    table(aws, "booked")
    client, sent = aws("dynamodb"), []
    client.meta.events.register(
        "before-call.dynamodb.TransactWriteItems", lambda params, **_: sent.append(json.loads(params["body"]))
    )
    put = {"Put": {"TableName": "booked", "Item": {"id": {"S": "1"}}}}
    client.transact_write_items(ClientRequestToken="message-1", TransactItems=[put])
    client.transact_write_items(TransactItems=[put])
    with_token, without = (call["TransactItems"][0]["Put"]["Item"] for call in sent)
    assert set(with_token) == {"id"}
    assert set(without) == {"id", "_ctx"}


def test_a_url_that_is_signed_for_somebody_else_is_left_alone(aws: Any) -> None:
    url = aws("sqs").generate_presigned_url("send_message", {"QueueUrl": "http://q", "MessageBody": "x"})
    assert "_ctx" not in url


def test_a_second_install_adds_services(endpoint: str, observed: Configure) -> None:
    observed()
    session = boto3.Session("none", "none", region_name=REGION)
    boto.install(session, services=["sns"])
    boto.install(session, services=["sqs"])
    sqs = session.client("sqs", endpoint_url=endpoint)
    url = sqs.create_queue(QueueName="second")["QueueUrl"]
    with entered(RequestContext(ID)):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert carriers.sqs.extract(message).fields["x-request-id"] == ID


def test_records_of_firehose_keep_their_newlines(aws: Any) -> None:
    aws("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    firehose = aws("firehose")
    to = {"RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::logs"}
    firehose.create_delivery_stream(DeliveryStreamName="logs", S3DestinationConfiguration=to)
    firehose.put_record(DeliveryStreamName="logs", Record={"Data": b'{"a": 1}\n'})
    firehose.put_record_batch(DeliveryStreamName="logs", Records=[{"Data": b'{"a": 2}\n'}, {"Data": b"text\n"}])
    stored = [
        aws("s3").get_object(Bucket="logs", Key=found["Key"])["Body"].read()
        for found in aws("s3").list_objects_v2(Bucket="logs")["Contents"]
    ]
    lines = b"".join(stored).splitlines()
    assert len(lines) == 3
    assert sorted(carriers.kinesis.extract({"Data": line}).fields.get("x-request-id", "") for line in lines) == [
        "",
        ID,
        ID,
    ]


def test_an_execution_of_a_state_machine(aws: Any) -> None:
    states = aws("stepfunctions")
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    role = "arn:aws:iam::123456789012:role/r"
    arn = states.create_state_machine(name="orders", definition=definition, roleArn=role)["stateMachineArn"]

    def input_of(**more: str) -> Any:
        execution = states.start_execution(stateMachineArn=arn, **more)["executionArn"]
        return json.loads(states.describe_execution(executionArn=execution)["input"])

    assert input_of(input='{"order": 1}')["_ctx"]["x-request-id"] == ID
    assert input_of()["_ctx"]["x-request-id"] == ID
    assert input_of(input="[1]") == [1]
    assert input_of(input='{"order": 1}', name="message-1") == {"order": 1}  # it may be repeated


def test_a_function_that_is_invoked(aws: Any) -> None:
    """It gets a client context beside its payload; where nobody waits for an answer, AWS drops that one."""
    client = aws("lambda")
    requests: list[Any] = []

    def refuse(request: Any, **_: Any) -> None:
        requests.append(request)
        raise ConnectionError("not sent")

    client.meta.events.register("before-send.lambda.Invoke", refuse)
    own = base64.b64encode(json.dumps({"custom": {"mine": "1"}, "client": {}}).encode()).decode()
    full = base64.b64encode(json.dumps({"custom": {"mine": "x" * 2650}}).encode()).decode()
    for options in (
        {"Payload": b'{"a": 1}', "ClientContext": own},
        {"Payload": b'{"a": 1}', "InvocationType": "Event"},
        {"Payload": b"[1]", "InvocationType": "DryRun"},
        {"ClientContext": full},
    ):
        with pytest.raises(ConnectionError):
            client.invoke(FunctionName="billing", **options)
    waiting, event, dry, too_large = requests
    context = json.loads(base64.b64decode(waiting.headers["X-Amz-Client-Context"]))
    assert (context["custom"]["mine"], context["custom"]["x-request-id"], context["client"]) == ("1", ID, {})
    assert waiting.body == b'{"a": 1}'
    assert json.loads(event.body)["_ctx"]["x-request-id"] == ID
    assert dry.body == b"[1]"
    assert "X-Amz-Client-Context" not in {**event.headers, **dry.headers}
    assert too_large.headers["X-Amz-Client-Context"] == full.encode()


def test_a_message_of_iot_has_user_properties_of_mqtt_5(aws: Any) -> None:
    client, requests = aws("iot-data"), []

    def refuse(request: Any, **_: Any) -> None:
        requests.append(request)
        raise ConnectionError("not sent")

    client.meta.events.register("before-send.iot-data.Publish", refuse)
    mine = [{"unit": "C"}, {"X-Request-ID": "older-id-1"}]
    for properties in ({}, {"userProperties": mine}):
        with pytest.raises(ConnectionError):
            client.publish(topic="t/1", payload=b"21.5", **properties)
    first, second = (json.loads(base64.b64decode(r.headers["x-amz-mqtt5-user-properties"])) for r in requests)
    assert {name: value for pair in first for name, value in pair.items()}["x-request-id"] == ID
    assert second[0] == {"unit": "C"}
    pairs = [item for pair in second for item in pair.items()]
    assert carriers.mqtt.extract(pairs).fields["x-request-id"] == ID
    assert len(mine) == 2


def test_the_metadata_of_an_object_if_it_is_asked_for(endpoint: str, observed: Configure) -> None:
    observed()
    session = boto3.Session("none", "none", region_name=REGION)
    boto.install(session, services=["s3"])
    client = session.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="objects", CreateBucketConfiguration={"LocationConstraint": REGION})
    with entered(RequestContext(ID)):
        client.put_object(Bucket="objects", Key="k", Body=b"x", Metadata={"mine": "1"})
        client.put_object(Bucket="objects", Key="full", Body=b"x", Metadata={"mine": "x" * 2030})
        url = client.generate_presigned_url("put_object", {"Bucket": "objects", "Key": "k"})
    metadata = client.head_object(Bucket="objects", Key="k")["Metadata"]
    assert metadata["mine"] == "1"
    assert carriers.s3.extract(metadata).fields["x-request-id"] == ID
    assert set(client.head_object(Bucket="objects", Key="full")["Metadata"]) == {"mine"}
    assert "x-request-id" not in url


def test_sending_is_a_span_that_the_message_continues(endpoint: str, observed: Configure) -> None:
    there = observed()
    session = boto3.Session("none", "none", region_name=REGION)
    boto.install(session)
    sqs = session.client("sqs", endpoint_url=endpoint)
    url = sqs.create_queue(QueueName="spans")["QueueUrl"]
    with there.runtime.tracer.start_as_current_span("work") as work, entered(RequestContext(ID)):
        sqs.send_message(QueueUrl=url, MessageBody="x")
        with pytest.raises(sqs.exceptions.QueueDoesNotExist):
            sqs.send_message(QueueUrl=url + "-missing", MessageBody="x")
    good, bad, _ = there.spans
    assert (good.name, good.kind, good.status.status_code) == ("send spans", SpanKind.PRODUCER, StatusCode.UNSET)
    assert good.parent is not None
    assert good.parent.span_id == work.get_span_context().span_id
    assert (
        dict(good.attributes or {}).items()
        >= {
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "spans",
            "request.id": ID,
        }.items()
    )
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sent_by = carriers.sqs.extract(message).fields["traceparent"].split("-")[2]
    assert sent_by == f"{good.get_span_context().span_id:016x}"  # type: ignore[union-attr]
    assert bad.status.status_code is StatusCode.ERROR
    error = (bad.attributes or {})["error.type"]
    labels = {"messaging_system": "aws_sqs", "messaging_destination_name": "spans-missing", "error_type": str(error)}
    assert there.value("messaging_client_operation_duration_seconds_count", **labels) == 1


@pytest.mark.parametrize(
    ("operation", "parameters", "name"),
    [
        ("sqs.SendMessage", {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/orders"}, "send orders"),
        ("sns.Publish", {"TopicArn": "arn:aws:sns:eu-west-1:1:orders"}, "send orders"),
        ("events.PutEvents", {"Entries": [{"EventBusName": "shop"}]}, "send shop"),
        ("events.PutEvents", {"Entries": []}, "send eventbridge"),
        ("iot-data.Publish", {"topic": "t/1"}, "send t/1"),
        ("lambda.Invoke", {"FunctionName": "arn:aws:lambda:eu-west-1:1:function:billing:live"}, "invoke billing"),
        ("lambda.Invoke", {"FunctionName": "billing:live", "InvocationType": "Event"}, "send billing"),
        ("stepfunctions.StartExecution", {"stateMachineArn": "arn:aws:states:e:1:stateMachine:orders"}, "send orders"),
    ],
)
def test_where_a_message_goes(observed: Configure, operation: str, parameters: Any, name: str) -> None:
    there = observed()
    with there.runtime.tracer.start_as_current_span("work"), entered(RequestContext(ID)):
        boto._sending(boto._operations(envelope=False)[operation], parameters).over(None)
    assert there.spans[0].name == name


def test_entries_of_a_batch_that_fail_are_a_failure() -> None:
    assert boto._failure(200, {"Failed": [{"Id": "1"}]}) == "partial"
    assert boto._failure(200, {"FailedEntryCount": 0, "Failed": []}) is None
    assert boto._failure(400, {"Error": {"Code": "Throttling"}}) == "Throttling"
    assert boto._failure(200, {"FunctionError": "Unhandled"}) == "Unhandled"


def test_the_stream_of_a_table_names_the_writer_and_on_removal_the_last_one(aws: Any) -> None:
    resource = table(aws, "streamed")
    resource.put_item(Item={"id": "1"})
    with entered(RequestContext("request-of-the-remover")):
        resource.delete_item(Key={"id": "1"})
    streams = aws("dynamodbstreams")
    arn = resource.latest_stream_arn
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    where = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    found = streams.get_records(ShardIterator=streams.get_shard_iterator(**where)["ShardIterator"])["Records"]
    read = [carriers.dynamodb.extract(record) for record in found]
    assert [(row.fields["x-request-id"], row.last_writer) for row in read] == [(ID, False), (ID, True)]


def test_without_a_request_nothing_is_added(aws: Any) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="none")["QueueUrl"]
    with entered(None):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert "MessageAttributes" not in message


def test_only_the_services_that_are_named(endpoint: str) -> None:
    session = boto3.Session("none", "none", region_name=REGION)
    boto.install(session, services=["sns"])
    sqs = session.client("sqs", endpoint_url=endpoint)
    url = sqs.create_queue(QueueName="unnamed")["QueueUrl"]
    with entered(RequestContext(ID)):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert "MessageAttributes" not in message


def test_a_botocore_session_too_and_nothing_else() -> None:
    boto.install(botocore.session.Session())
    with pytest.raises(TypeError, match="no boto3 or botocore session"):
        boto.install(boto3)
    with pytest.raises(ValueError, match="unknown services"):
        boto.install(boto3.Session(), services=["ec2"])


@pytest.mark.breaks_a_step
def test_a_failing_step_of_ours_lets_the_call_go_out(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="broken")["QueueUrl"]
    monkeypatch.setattr(outcome, "outgoing_fields", broken)
    sqs.send_message(QueueUrl=url, MessageBody="as it is")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "as it is"
    assert "MessageAttributes" not in message
