"""The examples of the pages, pasted into empty files, do what the pages say."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import copytree

import boto3
import httpx
import pytest

import sloctl.instrumentation
from sloctl.diagnostics import Diagnostics
from sloctl.instrumentation import RequestContext, boto, carriers, consume, instrument_httpx
from sloctl.instrumentation.carriers import Incoming
from sloctl.instrumentation.context import entered
from sloctl.instrumentation.frameworks import FRAMEWORKS
from sloctl.language.discovery import discover, read_all
from sloctl.model.indicator import Latency, Ratio
from sloctl.resolve import resolve
from testing import databases
from testing.brokers import AWS_ENVIRONMENT, mock_kafka, mosquitto, moto, nats
from testing.servers import PATIENCE, ROOT, Running, answers, free_port, running
from tests.conftest import program
from tests.instrumentation.conftest import Configure
from tests.instrumentation.test_frameworks import FRAMEWORKS as TESTED

PAGE = ROOT / "docs" / "instrumentation.md"
SPEC = ROOT / "slo-specs" / "routemesh" / "tracking-api.yaml"
BLOCK = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.server


def blocks(page: Path) -> dict[str, str]:
    return {match["name"]: match["code"] for match in BLOCK.finditer(page.read_text(encoding="utf-8"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder beside a copy of the specifications."""
    copytree(ROOT / "slo-specs", tmp_path / "slo-specs")
    return tmp_path


def paste(folder: Path, name: str, page: Path = PAGE) -> Path:
    file = folder / name
    file.write_text(blocks(page)[name], encoding="utf-8")
    return file


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **AWS_ENVIRONMENT}
    command = [sys.executable, "-W", "error", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    """Every series that the specification reads, with the labels that it matches exactly; `job` is Prometheus' own."""
    found = Diagnostics()
    catalogue = resolve(read_all(discover([str(SPEC)], found), found), found)
    for slo in catalogue.slos:
        match slo.indicator:
            case Ratio(total=total, bad=bad):
                read = [(each.metric, each.matchers) for each in (*(total or ()), *(bad or ()))]
            case Latency(histogram=histogram, at_most=at_most):
                read = [(f"{selector.metric}_bucket", selector.matchers) for selector in histogram]
                yield from ((metric, {"le": f"{float(at_most)}"}) for metric, _ in read)
            case _:
                raise AssertionError(slo.indicator)
        for metric, matchers in read:
            exact = {
                matcher.label: matcher.value
                for matcher in matchers
                if matcher.operator.value == "=" and matcher.label != "job"
            }
            yield metric, exact
            others = {matcher.label for matcher in matchers} - {"job"}
            yield metric, dict.fromkeys(others, "")


def test_the_fastapi_example_serves_every_series_that_the_specification_reads(folder: Path) -> None:
    serves_every_series(folder, PAGE)


def test_the_example_of_the_readme_too(folder: Path) -> None:
    serves_every_series(folder, ROOT / "README.md")


def serves_every_series(folder: Path, page: Path) -> None:
    paste(folder, "main.py", page)
    port = free_port()
    serve = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", folder, "--port", str(port)]
    command = ["env", f"--chdir={folder}", *serve]
    with running("main.py", command, folder / "log") as process, httpx.Client(timeout=PATIENCE) as client:
        url = f"http://127.0.0.1:{port}"
        process.wait_for(lambda: answers(client, f"{url}/metrics"), "it answers")
        response = client.post(f"{url}/track")
        assert response.json() == {"request_id": response.headers["x-request-id"]}
        series = client.get(f"{url}/metrics").text.splitlines()
    wanted = list(selectors())
    assert len(wanted) > 4
    for metric, labels in wanted:
        texts = [f'{label}="{value}"' if value else f'{label}="' for label, value in labels.items()]
        assert [line for line in series if line.startswith(f"{metric}{{") and all(text in line for text in texts)], (
            metric,
            labels,
        )
    assert any(line.startswith("tenant_requests_total{") and 'tenant="acme"' in line for line in series)


def test_the_logging_example_writes_one_json_object(folder: Path) -> None:
    paste(folder, "logs.py")
    finished = run(folder, "logs.py")
    (line,) = finished.stderr.splitlines()
    assert finished.returncode == 0
    assert json.loads(line).items() >= {"message": "sold 3", "order": "o-1", "service.name": "tracking-api"}.items()


FRAMEWORK = """
import logging, sys, threading
logging.disable(logging.CRITICAL)
import httpx
from {module} import app
from testing.serving import serving
from tests.instrumentation.test_frameworks import aiohttp_served, wsgi_served
with {serve}(app) as port:
    response = httpx.get(f"http://127.0.0.1:{{port}}/orders/7")
    metrics = httpx.get(f"http://127.0.0.1:{{port}}/metrics").text
assert response.json() == {{"request_id": response.headers["x-request-id"]}}, response.text
print(*[line.split("http_route=")[1].split('"')[1] for line in metrics.splitlines() if "_duration_seconds_sum" in line])
"""


@pytest.mark.parametrize(
    ("name", "serve", "route"),
    [
        ("flask_app.py", "wsgi_served", "/orders/<int:number>"),
        ("django_app.py", "serving", "/orders/<int:number>"),
        ("litestar_app.py", "serving", "/orders/{number}"),
        ("starlette_app.py", "serving", "/orders/{number}"),
        ("aiohttp_app.py", "aiohttp_served", "/orders/{number}"),
    ],
)
def test_the_example_of_each_framework(folder: Path, name: str, serve: str, route: str) -> None:
    paste(folder, name)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
    program = FRAMEWORK.format(module=name.removesuffix(".py"), serve=serve)
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.stdout == f"{route}\n", finished.stderr


def test_text_formats_have_the_id(folder: Path) -> None:
    paste(folder, "text_logs.py")
    assert run(folder, "text_logs.py").stderr == "WARNING [-] sold out\n"


def test_other_loggers_and_threads_take_the_fields(folder: Path) -> None:
    paste(folder, "other_loggers.py")
    inside = """
from sloctl.instrumentation import RequestContext
from sloctl.instrumentation.context import entered
from sloctl.instrumentation.frameworks import FRAMEWORKS
with entered(RequestContext("request-0001")):
    import other_loggers
"""
    of_structlog, of_loguru = map(json.loads, run(folder, "-c", inside).stdout.split("\n", 1))
    assert of_structlog == {"event": "sold", "order": "o-1", "request.id": "request-0001"}
    assert of_loguru["record"]["extra"] == {"request.id": "request-0001"}
    paste(folder, "threads.py")
    assert run(folder, "threads.py").stdout == "request-0001\n"


def test_the_libraries_are_instrumented(folder: Path) -> None:
    paste(folder, "stores.py")
    assert "'redis': 'instrumented'" in run(folder, "stores.py").stdout


@pytest.mark.parametrize("name", ["client.py", "clients.py"])
def test_the_client_examples_run(folder: Path, name: str) -> None:
    paste(folder, name)
    finished = run(folder, name)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_the_worker_example_handles_a_message_in_its_context(folder: Path, observed: Configure) -> None:
    paste(folder, "worker.py")
    observed()
    with moto() as endpoint:
        session = boto3.Session("none", "none", region_name=AWS_ENVIRONMENT["AWS_DEFAULT_REGION"])
        boto.install(session)
        sqs = session.client("sqs", endpoint_url=endpoint)
        url = sqs.create_queue(QueueName="orders")["QueueUrl"]
        with entered(RequestContext("request-0001", tenant_id="acme")):
            sqs.send_message(QueueUrl=url, MessageBody="order-1")
        environment = [f"{key}={value}" for key, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items()]
        command = ["env", *environment, sys.executable, folder / "worker.py"]
        with running("worker.py", command, folder / "log") as process:
            line = process.wait_for(lambda: said(process, "shipping order-1"), "it ships")
    assert (line["request.id"], line["tenant.id"], line["service.name"]) == ("request-0001", "acme", "shipping")


def said(process: Running, text: str) -> dict[str, object]:
    lines = process.log.read_text(encoding="utf-8").splitlines()
    return next((json.loads(line) for line in lines if text in line), {})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sending.py", r"request-0001"),
        ("calls.py", r"[0-9a-f]{32}"),
        ("tasks.py", r"request-0001 a@example\.com"),
    ],
)
def test_an_example_says_what_it_should(folder: Path, name: str, says: str) -> None:
    paste(folder, name)
    finished = run(folder, name)
    assert re.fullmatch(says + r"\n", finished.stdout), finished.stderr


BROKERS: dict[str, tuple[str, Callable[[], AbstractContextManager[int | str]], str]] = {
    "kafka_orders.py": ("", mock_kafka, "localhost:9092"),
    "nats_orders.py": ("nats-server", nats, "4222"),
    "redis_orders.py": ("redis-server", databases.redis, "6379"),
    "mqtt_orders.py": ("mosquitto", mosquitto, "1883"),
}


@pytest.mark.parametrize("name", BROKERS)
def test_the_example_of_each_broker(folder: Path, name: str) -> None:
    needed, broker, usual = BROKERS[name]
    if needed:
        program(needed)
    with broker() as address:
        carries_the_id(folder, name, usual, str(address))


@pytest.mark.xdist_group("rabbitmq")
def test_the_example_of_rabbitmq(folder: Path, rabbitmq_port: int) -> None:
    carries_the_id(folder, "rabbitmq_orders.py", "5672", str(rabbitmq_port))


def carries_the_id(folder: Path, name: str, usual: str, address: str) -> None:
    """The example, with the broker's address instead of the usual one."""
    file = paste(folder, name)
    code = file.read_text(encoding="utf-8")
    assert usual in code
    file.write_text(code.replace(usual, address), encoding="utf-8")
    finished = run(folder, name)
    assert finished.stdout == "request-0001 order-1\n", finished.stderr


@pytest.mark.parametrize("name", ["function.py", "batches.py"])
def test_the_lambda_examples_have_a_context_a_record(folder: Path, name: str) -> None:
    paste(folder, name)
    call = f"""
import {name.removesuffix(".py")} as function
def record(number):
    attribute = {{"stringValue": f"x-request-id=request-000{{number}}", "dataType": "String"}}
    return {{"eventSource": "aws:sqs", "messageId": str(number), "body": f"order-{{number}}",
            "messageAttributes": {{"_ctx": attribute}}}}
bad = record(3)
bad.pop("body")
print(function.handler({{"Records": [record(1), record(2), bad]}}, None))
"""
    finished = run(folder, "-c", call)
    assert finished.stdout.splitlines() == [
        "request-0001 order-1",
        "request-0002 order-2",
        "{'batchItemFailures': [{'itemIdentifier': '3'}]}",
    ], finished.stderr


def test_the_specification_of_a_worker_compiles_and_its_series_exist(folder: Path, observed: Configure) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("```yaml\n# worker.yaml\n")[2].partition("```")[0]
    (folder / "worker.yaml").write_text(text, encoding="utf-8")
    finished = run(folder, "-m", "sloctl", "generate", "worker.yaml", "-o", "out")
    assert finished.returncode == 0, finished.stderr
    there = observed("shipping", internal_hosts=[])
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    instrument_httpx(client, there.runtime)
    with consume(Incoming("sqs", destination="orders"), name="ship", runtime=there.runtime), client:
        client.get("https://payments.example.com/pay")
    read = re.findall(r'(?:total|histogram): (\w+)\{job="shipping", (\w+)="([^"]*)"\}', text)
    assert len(read) == 3
    for metric, label, value in read:
        name = metric if metric.endswith("_count") else f"{metric}_bucket"
        exact = {label: value, "error_type": ""} | ({} if metric.endswith("_count") else {"le": "0.5"})
        assert there.value(name, **exact) == 1, metric


def headings() -> set[str]:
    return set(re.findall(r"^#{2,3} (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def first_cells(heading: str) -> set[str]:
    """The first column of the table below a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    _, *rows = section[section.index("|---") :].splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), rows)
    return {row.split(" | ")[0].removeprefix("| ") for row in table}


def test_each_framework_logger_and_client_has_a_section() -> None:
    """The lists of the code, of its tests and of the page are the same."""
    sections = headings()
    classes = {"flask": "Flask", "django": "Django", "litestar": "Litestar", "aiohttp": "aiohttp's server"}
    found = {classes[name.split(".")[0]] for name in FRAMEWORKS}
    assert found | {"Starlette", "A FastAPI service"} <= sections
    tested = {name.split()[0].lower() for name in TESTED}
    assert tested == {name.split(".")[0] for name in FRAMEWORKS} | {"starlette"}
    public = set(sloctl.instrumentation.__all__)
    assert {"structlog_processor", "loguru_patcher", "JsonFormatter", "ContextFilter"} <= public
    assert {"logging", "structlog and loguru"} <= sections
    others = {"app", "libraries", "celery", "rq", "dramatiq", "arq"}
    clients = {name.removeprefix("instrument_") for name in public if name.startswith("instrument_")} - others
    assert {"httpx", "requests, urllib3 and aiohttp"} <= sections
    assert clients == {"httpx", "requests", "urllib3", "aiohttp"}


def test_each_transport_and_job_queue_has_a_row() -> None:
    carried = {name for name in carriers.__all__ if name[0].islower()}
    of_carriers = {
        "sqs": {"SQS"}, "sns": {"SNS"}, "eventbridge": {"EventBridge"}, "kinesis": {"Kinesis"}, "s3": {"S3"},
        "dynamodb": {"DynamoDB"}, "kafka": {"Kafka"}, "mqtt": {"MQTT 5", "MQTT 3.1.1"}, "rabbitmq": {"RabbitMQ"},
        "nats": {"NATS"}, "redis": {"Redis streams", "Redis lists, publish/subscribe"}, "grpc": {"gRPC"},
        "http": {"HTTP"}, "mapping": {"others"},
    }  # fmt: skip
    of_boto = {
        "firehose": "Firehose", "stepfunctions": "Step Functions", "lambda": "Lambda `Invoke`", "iot-data": "IoT Data",
        "events": "EventBridge", "sqs": "SQS", "sns": "SNS", "kinesis": "Kinesis", "dynamodb": "DynamoDB", "s3": "S3",
    }  # fmt: skip
    assert carried == set(of_carriers)
    assert {*boto.SERVICES, *boto.OPTIONAL} == set(of_boto)
    assert first_cells("### Every transport") == {*set().union(*of_carriers.values()), *of_boto.values()}
    queues = {"instrument_celery", "instrument_rq", "instrument_dramatiq", "instrument_arq"}
    assert queues <= set(sloctl.instrumentation.__all__)
    assert {f"instrument_{row.lower()}" for row in first_cells("## Job queues")} == queues


def test_every_python_block_of_the_page_is_run_here() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(blocks(PAGE)) == text.count("```python")
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in blocks(PAGE) if f'"{name}"' not in tests] == []
