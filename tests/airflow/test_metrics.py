"""Metrics as OpenTelemetry hears them, from Airflow's own exporter; StatsD hears the whole of Airflow in test_up."""

from __future__ import annotations

import contextlib
import gzip
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from provinces import run


@pytest.fixture
def collector():
    """An OTLP/HTTP collector: its port, and every metric's points, as (name, tags) -> value."""
    points = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for point in getattr(metric, metric.WhichOneof("data")).data_points:
                            tags = frozenset((pair.key, pair.value.string_value) for pair in point.attributes)
                            value = point.sum if hasattr(point, "sum") else point.as_int or point.as_double
                            points[metric.name, tags] = value
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, points
    server.shutdown()
    server.server_close()


def test_opentelemetry_hears_counts_and_tags(collector, tmp_path):
    port, points = collector
    ran = run(
        tmp_path, str(Path(__file__).with_name("otel_metrics.py")),
        AIRFLOW__METRICS__OTEL_ON="True", AIRFLOW__METRICS__OTEL_HOST="127.0.0.1", AIRFLOW__METRICS__OTEL_PORT=str(port),
        AIRFLOW__METRICS__OTEL_SSL_ACTIVE="False", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    assert ran.code == 0, ran.stderr[-2000:]

    def value(name, **tags):
        return points.get((f"airflow.crossdock.{name}", frozenset(tags.items())))

    tax = {"department": "transport", "dataset": "flights", "consumer": "tax"}
    assert value("shares", **tax) == 42, points
    assert value("handovers.delivered", **tax) == 1
    assert value("handovers.refused", **tax | {"consumer": "court"}) == 1
    assert value("push.duration", **tax) is not None, points
    assert value("owed.agreements.rejected") == 1
    assert value("owed.agreements.failing") == 0
    assert value("owed.records.rejected") == 3
    assert value("ledger.sound") == 1
    assert not any("expired" in str(point) for point in points)


def test_statsd_without_tags_hears_nothing_twice(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(1)
        ran = run(
            tmp_path, str(Path(__file__).with_name("otel_metrics.py")), AIRFLOW__METRICS__STATSD_ON="True",
            AIRFLOW__METRICS__STATSD_HOST="127.0.0.1", AIRFLOW__METRICS__STATSD_PORT=str(server.getsockname()[1]),
        )  # fmt: skip
        assert ran.code == 0, ran.stderr[-2000:]
        heard = []
        with contextlib.suppress(TimeoutError):
            while True:
                heard += server.recv(65_536).decode().splitlines()
    ours = [line.removeprefix("airflow.crossdock.") for line in heard if line.startswith("airflow.crossdock.")]
    told = dict(line.split(":") for line in ours)
    assert len(told) == len(ours)
    assert told["shares"] == "42|c"
    assert (told["handovers.delivered"], told["handovers.refused"]) == ("1|c", "1|c")
    assert (told["owed.agreements.failing"], told["owed.agreements.rejected"]) == ("0|g", "1|g")
    assert told["ledger.sound"] == "1|g"
    assert told["push.duration"].endswith("|ms")
