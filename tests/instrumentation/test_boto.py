"""The AWS SDK carries the context by itself, to a real HTTP server that stores and hands out what it got."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest

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
    assert [(one.fields["x-request-id"], one.last_writer) for one in read] == [(ID, False), (ID, True)]


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
        boto.install(boto3.Session(), services=["s3"])


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
