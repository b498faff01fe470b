// Clocks of the system and of tests, and times as text (RFC 3339).

#include "os/clock.h"

#include <errno.h>
#include <stdatomic.h>

static int64_t ns_of(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(Clock *clock) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_monotonic_ns(Clock *clock) {
    return ns_of(CLOCK_MONOTONIC);
}

static void system_sleep_ms(Clock *clock, int64_t ms) {
    if (ms <= 0) return;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

Clock *clock_system(void) {
    static Clock clock = {NULL, system_wall_ms, system_monotonic_ns, system_sleep_ms};
    return &clock;
}

static int64_t manual_wall_ms(Clock *clock) {
    ManualClock *manual = clock->context;
    uint64_t reading = atomic_fetch_add(&manual->readings, 1) + 1;
    if (reading == atomic_load(&manual->step_nth))
        atomic_fetch_add(&manual->wall_ms, atomic_load(&manual->step_ms));
    return atomic_load(&manual->wall_ms);
}

static int64_t manual_monotonic_ns(Clock *clock) {
    return atomic_load(&((ManualClock *)clock->context)->monotonic_ns);
}

// Who sleeps on a clock that stands still would sleep for ever: sleeping moves it.
static void manual_sleep_ms(Clock *clock, int64_t ms) {
    if (ms > 0) clock_advance(clock->context, ms);
}

void clock_manual(ManualClock *manual, int64_t wall_ms) {
    manual->clock = (Clock){manual, manual_wall_ms, manual_monotonic_ns, manual_sleep_ms};
    atomic_store(&manual->wall_ms, wall_ms);
    atomic_store(&manual->monotonic_ns, 0);
    atomic_store(&manual->readings, 0);
    atomic_store(&manual->step_nth, 0);
    atomic_store(&manual->step_ms, 0);
}

void clock_step_after(ManualClock *manual, uint64_t nth, int64_t ms) {
    atomic_store(&manual->step_ms, ms);
    atomic_store(&manual->step_nth, nth == 0 ? 0 : atomic_load(&manual->readings) + nth);
}

void clock_advance(ManualClock *manual, int64_t ms) {
    atomic_fetch_add(&manual->wall_ms, ms);
    atomic_fetch_add(&manual->monotonic_ns, ms * 1000000);
}

int64_t cpu_process_ns(void) {
    return ns_of(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t cpu_thread_ns(void) {
    return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

static const int64_t DAY_MS = (int64_t)86400 * 1000;

typedef struct Date {
    int64_t year;
    int64_t month;  // 1 to 12
    int64_t day;    // 1 to 31
} Date;

// Days since 1970 of a Gregorian date and back, by eras of 400 years that begin on 1 March, so that
// the leap day is the last one (after H. Hinnant, "chrono-compatible low-level date algorithms").
static int64_t days_from_date(Date date) {
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month_from_march = date.month + (date.month > 2 ? -3 : 9);
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static Date date_from_days(int64_t days) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march + (month_from_march < 10 ? 3 : -9);
    return (Date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

Text time_format_ms(int64_t ms, Arena *arena) {
    int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
    int64_t rest = ms - days * DAY_MS;
    Date date = date_from_days(days);
    return text_format(arena, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ",
                       (long long)date.year, (long long)date.month, (long long)date.day,
                       (long long)(rest / 3600000), (long long)(rest / 60000 % 60),
                       (long long)(rest / 1000 % 60), (long long)(rest % 1000));
}

// Takes exactly `digits` digits off the front of the text.
static bool take_number(Text *text, size_t digits, int64_t *out) {
    if (text->len < digits) return false;
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text->at[i];
        if (c < '0' || c > '9') return false;
        number = number * 10 + (c - '0');
    }
    *text = text_slice(*text, digits, text->len);
    *out = number;
    return true;
}

static bool take_char(Text *text, const char *one_of) {
    if (text->len == 0 || text->at[0] == '\0' || strchr(one_of, text->at[0]) == NULL) return false;
    *text = text_slice(*text, 1, text->len);
    return true;
}

// Milliseconds of ".123456"; what is finer is cut off.
static bool take_fraction_ms(Text *text, int64_t *out) {
    int64_t ms = 0, digits = 0;
    for (; text->len > 0 && text->at[0] >= '0' && text->at[0] <= '9'; digits++) {
        if (digits < 3) ms = ms * 10 + (text->at[0] - '0');
        *text = text_slice(*text, 1, text->len);
    }
    for (int64_t i = digits; i < 3; i++) ms *= 10;
    *out = ms;
    return digits > 0;
}

static bool take_offset_ms(Text *text, int64_t *out) {
    *out = 0;
    if (take_char(text, "Zz")) return true;
    bool west = text->len > 0 && text->at[0] == '-';
    int64_t hours = 0, minutes = 0;
    TRY(take_char(text, "+-") && take_number(text, 2, &hours) && take_char(text, ":") &&
        take_number(text, 2, &minutes));
    if (hours > 23 || minutes > 59) return false;
    *out = (hours * 60 + minutes) * (west ? -60000 : 60000);
    return true;
}

static int64_t days_of_month(int64_t year, int64_t month) {
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool time_parse_ms(Text text, int64_t *out) {
    Date date = {0};
    int64_t hour = 0, minute = 0, second = 0, ms = 0, offset_ms = 0;
    TRY(take_number(&text, 4, &date.year) && take_char(&text, "-"));
    TRY(take_number(&text, 2, &date.month) && take_char(&text, "-"));
    TRY(take_number(&text, 2, &date.day) && take_char(&text, "Tt "));
    TRY(take_number(&text, 2, &hour) && take_char(&text, ":"));
    TRY(take_number(&text, 2, &minute) && take_char(&text, ":"));
    TRY(take_number(&text, 2, &second));
    if (take_char(&text, ".")) TRY(take_fraction_ms(&text, &ms));
    TRY(take_offset_ms(&text, &offset_ms) && text.len == 0);
    if (date.month < 1 || date.month > 12 || date.day < 1) return false;
    if (date.day > days_of_month(date.year, date.month)) return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;  // a leap second counts as the next one
    *out = days_from_date(date) * DAY_MS + (hour * 3600 + minute * 60 + second) * 1000 + ms -
           offset_ms;
    return true;
}
