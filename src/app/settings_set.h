// Setting one value by its key, shared by the layers of settings. Private to app.
#pragma once

#include "app/settings.h"

// `from` says where the value stands; BAD_INPUT begins with it.
must_use bool settings_set_key(Settings *settings, Text key, Text text, Text from, Error *err);
