// What a selector found, in shards that run side by side. Private to query/exec; shard.c has the
// idea.
#pragma once

#include "query/exec/exec.h"

typedef struct Shards Shards;

// *out NULL: the expression is no chain over one selector, or the query is measured; open it as
// usual. Else the selector was asked already, and what it found goes into `count` shards.
// `labels`: all that whoever opens them will look at, so that no others need be made; NULL: any.
must_use bool shards_open(Exec *exec, const Expr *expr, Steps steps, const Texts *labels,
                          Shards **out, Error *err);
size_t shards_count(const Shards *shards);
// The expression over all that was found, as one operator of the query itself: for a single shard,
// and where shards turned out not to do.
must_use bool shards_open_whole(Shards *shards, const Expr *expr, Operator **out, Error *err);

// All rows of the expression, in their order: in shards, or whole.
must_use bool shards_gather(Shards *shards, const Expr *expr, Operator **out, Error *err);
// What was found, to be made shorter before anything is run; its order stays.
SeriesFoundList *shards_found(Shards *shards);
void shards_narrowed(Shards *shards);  // to be called afterwards

// `work` runs once per shard, on any thread, with the Exec of the shard, on whose arenas its result
// lives. `merge` runs once per shard too, in the order of shards, never twice at a time, with the
// result of the shard still there; it may use the query's Exec. With `keep` the shards live as long
// as the query, else until they are merged. Once only.
typedef bool (*ShardWork)(void *context, Exec *exec, size_t shard, Error *err);
typedef bool (*ShardMerge)(void *context, size_t shard, Error *err);
must_use bool shards_run(Shards *shards, ShardWork work, ShardMerge merge, void *context, bool keep,
                         Error *err);
