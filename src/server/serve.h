// What routes.def names: one function per route, in one file per family. Private to server.
//
// `serve` writes request->body and returns true, or fills `err`. It runs on the lane of its row.
#pragma once

#include "server/request.h"

// explain.c
bool serve_query_explain(Request *request, Error *err);

// health.c
bool serve_root(Request *request, Error *err);
bool serve_healthy(Request *request, Error *err);
bool serve_ready(Request *request, Error *err);
bool serve_reload(Request *request, Error *err);
bool serve_flush(Request *request, Error *err);

// host_top.c, self.c, sources.c
bool serve_host_processes(Request *request, Error *err);
bool serve_self(Request *request, Error *err);
bool serve_sources(Request *request, Error *err);

// live.c
bool check_live(Request *request, Error *err);
bool serve_live(Request *request, Error *err);

// ui.c
bool serve_ui_root(Request *request, Error *err);
bool serve_ui(Request *request, Error *err);
bool ui_is_wanted_at_root(const Request *request);  // a browser asks for "/": led on, without a key
bool ui_redirect_root(Request *request);            // true: answered so

// victoria.c
bool check_import(Request *request, Error *err);
bool serve_import(Request *request, Error *err);
bool serve_import_prometheus(Request *request, Error *err);
bool serve_export(Request *request, Error *err);

// prometheus_query.c
bool serve_query(Request *request, Error *err);
bool serve_query_range(Request *request, Error *err);
bool serve_query_exemplars(Request *request, Error *err);

// admin.c
bool serve_delete_series(Request *request, Error *err);
bool serve_clean_tombstones(Request *request, Error *err);
bool serve_snapshot(Request *request, Error *err);

// federate.c, remote_read.c
bool serve_federate(Request *request, Error *err);
bool serve_remote_read(Request *request, Error *err);

// prometheus_language.c
bool serve_format_query(Request *request, Error *err);
bool serve_parse_query(Request *request, Error *err);

// prometheus_meta.c
bool serve_series(Request *request, Error *err);
bool serve_labels(Request *request, Error *err);
bool serve_label_values(Request *request, Error *err);
bool serve_metadata(Request *request, Error *err);

// prometheus_status.c
bool serve_status_buildinfo(Request *request, Error *err);
bool serve_status_config(Request *request, Error *err);
bool serve_status_flags(Request *request, Error *err);
bool serve_settings(Request *request, Error *err);
bool serve_status_runtimeinfo(Request *request, Error *err);
bool serve_status_tsdb(Request *request, Error *err);
bool serve_status_walreplay(Request *request, Error *err);
bool serve_rules(Request *request, Error *err);
bool serve_alerts(Request *request, Error *err);
bool serve_alertmanagers(Request *request, Error *err);
bool serve_notifications(Request *request, Error *err);

// grpc.c
bool serve_grpc_health(Request *request, Error *err);

// targets.c
bool serve_targets(Request *request, Error *err);
bool serve_targets_metadata(Request *request, Error *err);
bool serve_scrape_pools(Request *request, Error *err);

// query_list.c
bool serve_queries(Request *request, Error *err);
bool serve_query_end(Request *request, Error *err);

// remote_write.c
bool check_remote_write(Request *request, Error *err);
bool serve_remote_write(Request *request, Error *err);

// otlp.c
bool check_otlp_metrics(Request *request, Error *err);
bool check_otlp_grpc(Request *request, Error *err);
bool check_otlp_unsupported(Request *request, Error *err);
bool serve_otlp_metrics(Request *request, Error *err);
void otlp_write_error(Request *request, ErrorStatus *status, const Error *err);

// influx.c
bool check_influx_write(Request *request, Error *err);
bool serve_influx_write(Request *request, Error *err);
bool serve_influx_ping(Request *request, Error *err);
bool serve_influx_health(Request *request, Error *err);
bool serve_influx_query(Request *request, Error *err);
void influx_write_error(Request *request, ErrorStatus *status, const Error *err);
Text influx_key(Request *request);

// datadog.c
bool check_datadog(Request *request, Error *err);
bool serve_datadog_series(Request *request, Error *err);
bool serve_datadog_validate(Request *request, Error *err);
bool serve_datadog_dropped(Request *request, Error *err);
void datadog_write_error(Request *request, ErrorStatus *status, const Error *err);
Text datadog_key(Request *request);
// The route that was found, or Datadog's where it shares a path with Prometheus.
const Route *datadog_route(const Request *request, const Route *found);

// self_metrics.c, openapi.c
bool serve_metrics(Request *request, Error *err);
bool serve_openapi(Request *request, Error *err);
