"""What exporters expose, as far as it tells them apart: a line a series, with its rate or its value.

Names, labels and bounds are those that each project's source or documentation has; the job of each is its own name.
"""

# ruff: noqa: E501 - a series a line

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MINUTES: Final = 150
STEP: Final = 60
_LINE: Final = re.compile(r"(counter|gauge|histogram) ([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} ([0-9.]+)(?: bounds (.*))?")

_ISTIO = 'destination_service_name="cart",destination_service_namespace="shop",destination_workload="cart-v1"'
_MS = "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000"
_OTEL = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10"
_OTEL_MS = "5 10 25 50 75 100 250 500 750 1000 2500 5000 7500 10000"
_GO = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"

FARM: Final[dict[str, str]] = {
    "istio": f"""
counter istio_requests_total{{reporter="destination",{_ISTIO},response_code="200"}} 20
counter istio_requests_total{{reporter="destination",{_ISTIO},response_code="503"}} 0.02
counter istio_requests_total{{reporter="source",{_ISTIO},response_code="200"}} 20
counter istio_requests_total{{reporter="source",{_ISTIO},response_code="503"}} 5
histogram istio_request_duration_milliseconds{{reporter="destination",{_ISTIO},response_code="200"}} 20 bounds {_MS}
""",
    "linkerd": """
counter response_total{direction="inbound",deployment="basket",namespace="shop",classification="success"} 20
counter response_total{direction="inbound",deployment="basket",namespace="shop",classification="failure"} 0.02
counter response_total{direction="outbound",deployment="basket",namespace="shop",classification="failure"} 5
histogram response_latency_ms{direction="inbound",deployment="basket",namespace="shop"} 20 bounds 1 5 10 50 100 500 1000
""",
    "envoy": """
counter envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="ledger"} 20
counter envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="ledger"} 0.02
histogram envoy_cluster_upstream_rq_time{envoy_cluster_name="ledger"} 20 bounds 0.5 1 5 10 25 50 100 250 500 1000 3600000
""",
    "traefik": """
counter traefik_service_requests_total{code="200",method="GET",protocol="http",service="blog@docker"} 20
counter traefik_service_requests_total{code="502",method="GET",protocol="http",service="blog@docker"} 0.02
counter traefik_entrypoint_requests_total{code="200",method="GET",protocol="http",entrypoint="web"} 20
histogram traefik_service_request_duration_seconds{code="200",service="blog@docker"} 20 bounds 0.1 0.3 1.2 5
""",
    "ingress-nginx": f"""
counter nginx_ingress_controller_requests{{ingress="front",exported_namespace="shop",host="a.example",status="200"}} 20
counter nginx_ingress_controller_requests{{ingress="front",exported_namespace="shop",host="a.example",status="502"}} 0.02
histogram nginx_ingress_controller_request_duration_seconds{{ingress="front",exported_namespace="shop"}} 20 bounds {_GO}
""",
    "haproxy": """
counter haproxy_backend_http_responses_total{proxy="web",code="2xx"} 20
counter haproxy_backend_http_responses_total{proxy="web",code="5xx"} 0.02
""",
    "kong": """
counter kong_http_requests_total{service="orders-api",route="a",code="200",source="service"} 20
counter kong_http_requests_total{service="orders-api",route="a",code="502",source="service"} 0.02
histogram kong_request_latency_ms{service="orders-api",route="a"} 20 bounds 25 50 80 100 250 400 700 1000 2000
""",
    "caddy": f"""
histogram caddy_http_request_duration_seconds{{server="srv0",handler="subroute",code="200"}} 20 bounds {_GO}
histogram caddy_http_request_duration_seconds{{server="srv0",handler="subroute",code="502"}} 0.02 bounds {_GO}
histogram caddy_http_request_duration_seconds{{server="srv0",handler="static_response",code="200"}} 3 bounds {_GO}
""",
    "spring": """
histogram http_server_requests_seconds{application="stock",uri="/a",outcome="SUCCESS",status="200"} 20 bounds 0.01 0.1 1
histogram http_server_requests_seconds{application="stock",uri="/a",outcome="SERVER_ERROR",status="500"} 0.02 bounds 0.1 1
""",
    "grpc-micrometer": """
counter grpc_server_processing_duration_seconds_count{service="shop.Stock",method="Get",statusCode="OK"} 20
counter grpc_server_processing_duration_seconds_count{service="shop.Stock",method="Get",statusCode="INTERNAL"} 0.02
""",
    "grpc-go": f"""
counter grpc_server_handled_total{{grpc_service="shop.Pay",grpc_method="Do",grpc_code="OK"}} 20
counter grpc_server_handled_total{{grpc_service="shop.Pay",grpc_method="Do",grpc_code="Internal"}} 0.02
counter grpc_server_handled_total{{grpc_service="grpc.health.v1.Health",grpc_method="Check",grpc_code="OK"}} 1
histogram grpc_server_handling_seconds{{grpc_service="shop.Pay",grpc_method="Do"}} 20 bounds {_GO}
""",
    "grpc-java": f"""
counter grpc_server_handled_total{{grpc_service="shop.Mail",code="OK",grpc_code="OK"}} 20
counter grpc_server_handled_total{{grpc_service="shop.Mail",code="UNAVAILABLE",grpc_code="UNAVAILABLE"}} 0.02
histogram grpc_server_handled_latency_seconds{{grpc_service="shop.Mail"}} 20 bounds {_GO}
""",
    "otel-http": f"""
histogram http_server_request_duration_seconds{{http_route="/a",http_response_status_code="200"}} 20 bounds {_OTEL}
histogram http_server_request_duration_seconds{{http_route="/a",http_response_status_code="500"}} 0.02 bounds {_OTEL}
""",
    "otel-http-old": f"""
histogram http_server_duration_milliseconds{{http_route="/a",http_status_code="200"}} 20 bounds {_OTEL_MS}
histogram http_server_duration_milliseconds{{http_route="/a",http_status_code="500"}} 0.02 bounds {_OTEL_MS}
""",
    "otel-rpc": f"""
histogram rpc_server_duration_milliseconds{{rpc_service="shop.Cart",rpc_grpc_status_code="0"}} 20 bounds {_OTEL_MS}
histogram rpc_server_duration_milliseconds{{rpc_service="shop.Cart",rpc_grpc_status_code="14"}} 0.02 bounds {_OTEL_MS}
""",
    "otel-messaging": f"""
histogram messaging_process_duration_seconds{{messaging_system="kafka"}} 20 bounds {_OTEL}
histogram messaging_process_duration_seconds{{messaging_system="kafka",error_type="timeout"}} 0.02 bounds {_OTEL}
""",
    "spanmetrics": """
counter traces_span_metrics_calls_total{service_name="till",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 20
counter traces_span_metrics_calls_total{service_name="till",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 0.02
counter traces_span_metrics_calls_total{service_name="till",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 9
histogram traces_span_metrics_duration_milliseconds{service_name="till",span_kind="SPAN_KIND_SERVER"} 20 bounds 2 10 100 1000
""",
    "tempo": """
counter traces_spanmetrics_calls_total{service="desk",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 20
counter traces_spanmetrics_calls_total{service="desk",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 0.02
histogram traces_spanmetrics_latency{service="desk",span_kind="SPAN_KIND_SERVER"} 20 bounds 0.002 0.128 1.02 4.1
""",
    "promhttp": f"""
counter http_requests_total{{code="200",method="get"}} 20
counter http_requests_total{{code="500",method="get"}} 0.02
histogram http_request_duration_seconds{{code="200",method="get"}} 20 bounds {_GO}
""",
    "fastapi-instrumentator": """
counter http_requests_total{handler="/a",method="GET",status="2xx"} 20
counter http_requests_total{handler="/a",method="GET",status="5xx"} 0.02
counter http_requests_total{handler="/metrics",method="GET",status="2xx"} 1
histogram http_request_duration_seconds{handler="/a",method="GET"} 20 bounds 0.1 0.5 1
""",
    "flask-exporter": f"""
counter flask_http_request_total{{method="GET",status="200"}} 20
counter flask_http_request_total{{method="GET",status="500"}} 0.02
histogram flask_http_request_duration_seconds{{method="GET",path="/",status="200"}} 20 bounds {_GO}
""",
    "starlette-exporter": f"""
counter starlette_requests_total{{app_name="items",path="/a",status_code="200"}} 20
counter starlette_requests_total{{app_name="items",path="/a",status_code="500"}} 0.02
histogram starlette_request_duration_seconds{{app_name="items",path="/a",status_code="200"}} 20 bounds {_GO}
""",
    "django-prometheus": f"""
counter django_http_responses_total_by_status_total{{status="200"}} 20
counter django_http_responses_total_by_status_total{{status="500"}} 0.02
histogram django_http_requests_latency_including_middlewares_seconds{{}} 20 bounds {_GO}
""",
    "express-prom-bundle": """
histogram http_request_duration_seconds{status_code="200",method="GET",path="/"} 20 bounds 0.003 0.03 0.1 0.3 1.5 10
histogram http_request_duration_seconds{status_code="500",method="GET",path="/"} 0.02 bounds 0.003 0.03 0.1 0.3 1.5 10
""",
    "prometheus-net": """
counter http_requests_received_total{code="200",method="GET",controller="a"} 20
counter http_requests_received_total{code="500",method="GET",controller="a"} 0.02
histogram http_request_duration_seconds{code="200",method="GET",controller="a"} 20 bounds 0.001 0.016 0.128 0.512 1.024
""",
    "kube-apiserver": """
counter apiserver_request_total{verb="GET",code="200",resource="pods",scope="resource"} 20
counter apiserver_request_total{verb="GET",code="500",resource="pods",scope="resource"} 0.02
counter apiserver_request_total{verb="WATCH",code="500",resource="pods",scope="resource"} 9
histogram apiserver_request_sli_duration_seconds{verb="GET",scope="resource"} 20 bounds 0.05 0.1 0.4 1 5 60
""",
    "coredns": """
counter coredns_dns_responses_total{server="dns://:53",zone=".",rcode="NOERROR"} 20
counter coredns_dns_responses_total{server="dns://:53",zone=".",rcode="NXDOMAIN"} 20
counter coredns_dns_responses_total{server="dns://:53",zone=".",rcode="SERVFAIL"} 0.02
histogram coredns_dns_request_duration_seconds{server="dns://:53",zone="."} 40 bounds 0.00025 0.001 0.016 0.128 8.192
""",
    "celery": """
counter celery_task_succeeded_total{name="mail.send",hostname="w1"} 20
counter celery_task_failed_total{name="mail.send",hostname="w1",exception="ValueError"} 0.02
counter celery_task_retried_total{name="mail.send",hostname="w1",exception="ValueError"} 2
histogram celery_task_runtime{name="mail.send",hostname="w1"} 20 bounds 0.005 0.1 1 10
""",
    "lambda": """
gauge aws_lambda_invocations_sum{dimension_FunctionName="pay"} 300
gauge aws_lambda_errors_sum{dimension_FunctionName="pay"} 0.3
""",
    "alb": """
gauge aws_applicationelb_request_count_sum{dimension_TargetGroup="tg/1"} 3000
gauge aws_applicationelb_httpcode_target_5_xx_count_sum{dimension_TargetGroup="tg/1"} 3
""",
    "sqs": 'gauge aws_sqs_approximate_age_of_oldest_message_maximum{dimension_QueueName="orders"} 3',
    "vllm": """
histogram vllm:time_to_first_token_seconds{model_name="llama",engine="0"} 2 bounds 0.001 0.1 1 10
counter vllm:request_success_total{model_name="llama",engine="0",finished_reason="stop"} 2
""",
    "blackbox": 'gauge probe_success{target="a"} 1',
    "postgres": """
gauge pg_up{server="a"} 1
gauge pg_stat_activity_count{datname="a",state="active"} 4
gauge pg_settings_max_connections{server="a"} 100
""",
    "redis": """
gauge redis_up{server="a"} 1
gauge redis_memory_used_bytes{server="a"} 4
gauge redis_memory_max_bytes{server="a"} 0
""",
    "kafka-lag": 'gauge kafka_consumergroup_lag_sum{consumergroup="billing",topic="orders"} 30',
    "rabbitmq": """
gauge rabbitmq_detailed_queue_messages_ready{vhost="/",queue="orders"} 4
gauge rabbitmq_queue_messages_ready{node="a"} 4
""",
}

NOISE: Final = {
    "node": """
counter node_cpu_seconds_total{cpu="0",mode="idle"} 1
gauge node_filesystem_avail_bytes{mountpoint="/"} 1000
""",
    "own": """
counter my_requests_total{path="/"} 3
counter jobs_finished_total{outcome="ok"} 3
counter jobs_finished_total{outcome="failed"} 0.1
counter odd_total{outcome="ok"} 3
counter odd_total{outcome="banana"} 3
""",
    "go": """
counter promhttp_metric_handler_requests_total{code="200"} 0.1
gauge go_goroutines{version="1"} 9
""",
}


def open_metrics(until: float) -> Iterator[str]:
    """Two and a half hours of all of them as OpenMetrics; the last sample at `until`, in Unix seconds."""
    families = dict[str, list[str]]()
    for job, text in {**FARM, **NOISE}.items():
        own = f'job="{job}",instance="a:1"'
        families.setdefault("up", []).extend(_samples("up", own, 1, until))
        for line in text.strip().splitlines():
            found = _LINE.fullmatch(line)
            assert found, line
            kind, metric, labels, value, bounds = found.groups()
            inside = f"{labels},{own}" if labels else own
            series = families.setdefault(metric, [])
            if kind == "histogram":
                series += _histogram(metric, inside, float(value), bounds.split(), until)
            else:
                series += _samples(metric, inside, float(value), until, counts=kind == "counter")
    for metric, samples in families.items():
        yield f"# TYPE {metric} unknown\n"
        yield from samples
    yield "# EOF\n"


def _histogram(metric: str, labels: str, rate: float, bounds: list[str], until: float) -> Iterator[str]:
    """Four fifths at or below the first bound, nearly all at or below the last but one."""
    for place, bound in enumerate(bounds):
        share = min(0.8 + 0.199 * (place + 1) / max(len(bounds) - 1, 1), 1)
        yield from _samples(f"{metric}_bucket", f'{labels},le="{bound}"', rate * share, until, counts=True)
    yield from _samples(f"{metric}_bucket", f'{labels},le="+Inf"', rate, until, counts=True)
    yield from _samples(f"{metric}_count", labels, rate, until, counts=True)


def _samples(metric: str, labels: str, value: float, until: float, *, counts: bool = False) -> Iterator[str]:
    for minute in range(MINUTES + 1):
        total = value * minute * STEP + 1000 if counts else value
        yield f"{metric}{{{labels}}} {total:.6f} {until - (MINUTES - minute) * STEP:.3f}\n"
