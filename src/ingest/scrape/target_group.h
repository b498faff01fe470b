// Target groups: what every discovery mechanism hands over, and the formats that file and HTTP
// discovery read them from.
//
// A group is a list of addresses with labels that go for all of them. In a file it is YAML or JSON:
//   [{"targets": ["host:9100"], "labels": {"env": "prod"}}]
#pragma once

#include "model/labels.h"

typedef struct TargetGroup {
    Text source;  // who found it, unique per mechanism: "0", "targets.json:1", a URL, a DNS name
    Texts targets;
    LabelArray labels;  // in order of the file; names valid, unique
} TargetGroup;

typedef struct TargetGroups {
    TargetGroup *at;
    size_t count;
} TargetGroups;

typedef enum TargetFormat { TARGETS_YAML, TARGETS_JSON } TargetFormat;

// A whole file or answer. `file` stands in errors ("targets.json:3:5: …") and, with the place of
// the group ("targets.json:0"), as the source of each. All or nothing; a null group is refused.
must_use bool target_groups_parse(Text source, Text file, TargetFormat format, Arena *arena,
                                  TargetGroups *out, Error *err);

// Addresses as Prometheus checks them: no '/' in it. BAD_INPUT says what to write.
must_use bool target_address_check(Text address, Error *err);
