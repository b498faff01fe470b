// Setting one value by its key, shared by the layers of settings. Private to app.
#pragma once

#include "app/settings.h"

// `from` says where the value stands; BAD_INPUT begins with it.
must_use bool settings_set_key(Settings *settings, Text key, Text text, Text from, Error *err);

// Is it a setting, or the first part of one? BAD_INPUT with a suggestion when it is neither.
must_use bool settings_check_group(Text prefix, Text from, Error *err);
bool settings_is_group(Text prefix);  // the first part of a setting's name
bool settings_takes_names(Text key);  // a text that is a list of names
