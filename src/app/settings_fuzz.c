// Any bytes as a settings file: refused with a place, or settings that print as a file which gives
// the same settings again.

#include "app/settings.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Settings settings, again;
    Error err;
    settings_begin(&settings, &arena);
    if (!settings_read_yaml(&settings, (Text){(const char *)data, size}, TEXT("f"), &err)) {
        assert(err.message[0] == 'f');
        return 0;
    }
    AUTO(builder_free) Builder printed = {0};
    settings_print(&settings, &printed);
    settings_begin(&again, &arena);
    bool read = settings_read_yaml(&again, builder_text(&printed), TEXT("f"), &err);
    assert(read);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        assert(settings.values[i].number == again.values[i].number);
        assert(text_equal(settings.values[i].text, again.values[i].text));
    }
    return 0;
}
