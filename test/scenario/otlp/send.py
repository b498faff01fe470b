"""Records a few known values with OpenTelemetry's SDK and exports them twice: send.py grpc|http PORT SERVICE cumulative|delta [gzip].

What is recorded is the same as in send.js; otlp_test.py knows the totals.
"""

import sys

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter, ObservableUpDownCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

protocol, port, service, temporality, *more = sys.argv[1:]

wanted = AggregationTemporality.DELTA if temporality == "delta" else AggregationTemporality.CUMULATIVE
preferred = {kind: wanted for kind in (Counter, Histogram, ObservableCounter, UpDownCounter, ObservableUpDownCounter)}
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    import grpc
    exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True, preferred_temporality=preferred,
                                  compression=grpc.Compression.Gzip if more else None)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{port}/v1/metrics", preferred_temporality=preferred,
                                  compression=Compression.Gzip if more else Compression.NoCompression)

resource = Resource.create({"service.name": service, "service.namespace": "demo", "service.instance.id": "i-1",
                            "deployment.environment.name": "test"})
views = [View(instrument_name="payload.size", aggregation=ExponentialBucketHistogramAggregation())]
provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3600000)], resource=resource, views=views)
meter = provider.get_meter("scenario", "1.0")
tracer = TracerProvider(resource=resource).get_tracer("scenario")

orders = meter.create_counter("shop.orders", "{order}", "Orders taken.")
carts = meter.create_up_down_counter("shop.carts")
latency = meter.create_histogram("request.duration", "s", explicit_bucket_boundaries_advisory=[0.5, 5, 500])
size = meter.create_histogram("payload.size", "By")
meter.create_observable_gauge("room.temperature", [lambda options: [__import__("opentelemetry").metrics.Observation(21.5)]], "Cel")

with tracer.start_as_current_span("order") as span:
    orders.add(3, {"order.kind": "book"})
    print(format(span.get_span_context().trace_id, "032x"))
orders.add(4, {"order.kind": "film"})
carts.add(5)
for value in (0.1, 3):
    latency.record(value)
for value in (1, 2, 4):
    size.record(value)
first = provider.force_flush()
orders.add(5, {"order.kind": "book"})
carts.add(-2)
latency.record(700)
size.record(1000)
second = provider.force_flush()
provider.shutdown()
sys.exit(0 if first and second else 1)
