// Sends remote write 2.0 with Prometheus' own client library, and prints what it saw as JSON.
//
//	rw2 URL MILLISECONDS
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
)

type result struct {
	Samples, Histograms, Exemplars int
	Error                          string
}

func main() {
	at, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		panic(err)
	}
	api, err := remote.NewAPI(os.Args[1], remote.WithAPIPath("api/v1/write"))
	if err != nil {
		panic(err)
	}
	write := func(bad bool) result {
		table := writev2.NewSymbolTable()
		labels := func(pairs ...string) []uint32 { return table.SymbolizeLabels(pairs, nil) }
		series := []*writev2.TimeSeries{
			{
				LabelsRefs: labels("__name__", "rw2_orders_total", "kind", "book"),
				Samples:    []*writev2.Sample{{Value: 3, Timestamp: at - 1000}, {Value: 7, Timestamp: at}},
				Exemplars:  []*writev2.Exemplar{{LabelsRefs: labels("trace_id", "abc"), Value: 1, Timestamp: at}},
				Metadata: &writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER,
					HelpRef: table.Symbolize("Orders taken."), UnitRef: table.Symbolize("")},
			},
			{
				LabelsRefs: labels("__name__", "rw2_size"),
				Histograms: []*writev2.Histogram{{
					Count: &writev2.Histogram_CountInt{CountInt: 3}, Sum: 4.5, Schema: 3,
					PositiveSpans: []*writev2.BucketSpan{{Offset: 0, Length: 2}}, PositiveDeltas: []int64{1, 1}, Timestamp: at,
				}},
			},
			{
				LabelsRefs: labels("__name__", "rw2_custom"),
				Histograms: []*writev2.Histogram{{
					Count: &writev2.Histogram_CountInt{CountInt: 3}, Sum: 4.5, Schema: -53,
					PositiveSpans: []*writev2.BucketSpan{{Offset: 0, Length: 2}}, PositiveDeltas: []int64{1, 1},
					CustomValues: []float64{1, 2}, Timestamp: at,
				}},
			},
		}
		if bad {
			series = append(series, &writev2.TimeSeries{LabelsRefs: []uint32{1, 999},
				Samples: []*writev2.Sample{{Value: 1, Timestamp: at}}})
		}
		stats, err := api.Write(context.Background(), remote.WriteV2MessageType, &writev2.Request{Symbols: table.Symbols(), Timeseries: series})
		out := result{Samples: stats.Samples, Histograms: stats.Histograms, Exemplars: stats.Exemplars}
		if err != nil {
			out.Error = err.Error()
		}
		return out
	}
	text, err := json.Marshal(map[string]result{"good": write(false), "partial": write(true)})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
