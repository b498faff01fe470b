// Records the same as send.py with OpenTelemetry's SDK for JavaScript:
//   NODE_PATH=… node send.js grpc|json|proto PORT SERVICE cumulative|delta [gzip]
const { createRequire } = require('module');
const load = createRequire(process.env.OTLP_PACKAGES + '/');
const { AggregationTemporality, AggregationType, InstrumentType, MeterProvider, PeriodicExportingMetricReader } =
  load('@opentelemetry/sdk-metrics');
const { resourceFromAttributes } = load('@opentelemetry/resources');

const [protocol, port, service, temporality, packed] = process.argv.slice(2);
const { OTLPMetricExporter } = load({
  grpc: '@opentelemetry/exporter-metrics-otlp-grpc',
  json: '@opentelemetry/exporter-metrics-otlp-http',
  proto: '@opentelemetry/exporter-metrics-otlp-proto',
}[protocol]);
const exporter = new OTLPMetricExporter({
  url: `http://127.0.0.1:${port}` + (protocol === 'grpc' ? '' : '/v1/metrics'),
  temporalityPreference: temporality === 'delta' ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
  compression: packed ? 'gzip' : 'none',
});
const provider = new MeterProvider({
  resource: resourceFromAttributes({
    'service.name': service, 'service.namespace': 'demo', 'service.instance.id': 'i-1', 'deployment.environment.name': 'test',
  }),
  readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000, exportTimeoutMillis: 20000 })],
  views: [{ instrumentName: 'payload.size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
});
const meter = provider.getMeter('scenario', '1.0');
const orders = meter.createCounter('shop.orders', { unit: '{order}', description: 'Orders taken.' });
const carts = meter.createUpDownCounter('shop.carts');
const latency = meter.createHistogram('request.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.5, 5, 500] } });
const size = meter.createHistogram('payload.size', { unit: 'By' });
meter.createObservableGauge('room.temperature', { unit: 'Cel' }).addCallback((result) => result.observe(21.5));

async function main() {
  orders.add(3, { 'order.kind': 'book' });
  orders.add(4, { 'order.kind': 'film' });
  carts.add(5);
  for (const value of [0.1, 3]) latency.record(value);
  for (const value of [1, 2, 4]) size.record(value);
  await provider.forceFlush();
  await new Promise((done) => setTimeout(done, 20));
  orders.add(5, { 'order.kind': 'book' });
  carts.add(-2);
  latency.record(700);
  size.record(1000);
  await provider.forceFlush();
  await provider.shutdown();
}
main().catch((error) => { console.error(error); process.exit(1); });
