"""gRPC calls that no SDK makes, with the stubs of opentelemetry-proto: calls.py PORT; one line of JSON per call."""

import json
import sys
import time

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub


def request(*values):
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="by.hand")
    for time_ns, value in values:
        metric.gauge.data_points.add(time_unix_nano=time_ns, as_double=value)
    return message


def say(name, call):
    try:
        answer = call()
        print(json.dumps({"call": name, "code": "OK", "rejected": answer.partial_success.rejected_data_points,
                          "message": answer.partial_success.error_message}))
    except grpc.RpcError as error:
        print(json.dumps({"call": name, "code": error.code().name, "message": error.details()}))


channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
metrics, traces = MetricsServiceStub(channel), TraceServiceStub(channel)
now = time.time_ns()
raw = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", request_serializer=None,
                          response_deserializer=ExportMetricsServiceRequest.FromString)
say("good", lambda: metrics.Export(request((now, 1.0)), timeout=10))
say("partial", lambda: metrics.Export(request((now + 1000000, 2.0), (0, 3.0)), timeout=10))
say("traces", lambda: traces.Export(ExportTraceServiceRequest(), timeout=10))
say("malformed", lambda: raw(b"\x0a\xff", timeout=10))
