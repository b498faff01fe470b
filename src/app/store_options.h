// What the settings say of a store, for the server and for commands that open a data directory.
#pragma once

#include "app/retention_rules.h"
#include "app/settings.h"

// Limits of new series.
SeriesLimits store_series_limits(const Settings *settings);

// `rules` is filled, and outlives the store. Texts are those of the settings. BAD_INPUT names the
// setting; then there is nothing to free.
must_use bool store_options_make(const Settings *settings, Clock *clock, RetentionRules *rules,
                                 StoreOptions *out, Error *err);
