// The timer wheel: slots of doubly linked timers, a bit per slot that may hold some.

#include "net/wheel.h"

#include "base/assert.h"

static int64_t tick_of(const Wheel *wheel, int64_t deadline_ms) {
    // Rounded up, so that nothing fires early; what is due already goes to the next tick.
    int64_t tick = (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    return MAX(tick, wheel->now_tick + 1);
}

static void link_timer(WheelTimer **list, WheelTimer *timer) {
    timer->next = *list;
    if (timer->next != NULL) timer->next->link = &timer->next;
    timer->link = list;
    *list = timer;
}

static void unlink_timer(WheelTimer *timer) {
    *timer->link = timer->next;
    if (timer->next != NULL) timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

void wheel_begin(Wheel *wheel, int64_t now_ms) {
    *wheel = (Wheel){.now_tick = now_ms / WHEEL_TICK_MS};
}

void wheel_arm(Wheel *wheel, WheelTimer *timer, int64_t deadline_ms) {
    assert(timer->fire != NULL);
    if (timer->link != NULL) wheel_disarm(wheel, timer);
    timer->deadline_ms = deadline_ms;
    size_t slot = (size_t)tick_of(wheel, deadline_ms) % WHEEL_SLOTS;
    link_timer(&wheel->slots[slot], timer);
    wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
    wheel->count++;
}

// The slot's bit stays; at worst one wakes up once for nothing.
void wheel_disarm(Wheel *wheel, WheelTimer *timer) {
    if (timer->link == NULL) return;
    unlink_timer(timer);
    wheel->count--;
}

// Due timers move to a list of their own first: a callback may arm and disarm any timer meanwhile.
static void fire_slot(Wheel *wheel, size_t slot, int64_t now_ms) {
    WheelTimer *due = NULL;
    for (WheelTimer *timer = wheel->slots[slot], *next; timer != NULL; timer = next) {
        next = timer->next;
        if (timer->deadline_ms > now_ms) continue;
        unlink_timer(timer);
        link_timer(&due, timer);
    }
    if (wheel->slots[slot] == NULL) wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while (due != NULL) {
        WheelTimer *timer = due;
        wheel_disarm(wheel, timer);
        timer->fire(timer);
    }
}

void wheel_advance(Wheel *wheel, int64_t now_ms) {
    int64_t target = now_ms / WHEEL_TICK_MS;
    if (target <= wheel->now_tick) return;
    // After a long sleep one turn sees every slot.
    int64_t first = MAX(wheel->now_tick + 1, target - WHEEL_SLOTS + 1);
    wheel->now_tick = target;
    for (int64_t tick = first; tick <= target; tick++) {
        size_t slot = (size_t)tick % WHEEL_SLOTS;
        if ((wheel->used[slot / 64] >> (slot % 64) & 1) != 0) fire_slot(wheel, slot, now_ms);
    }
}

int64_t wheel_sleep_ms(const Wheel *wheel, int64_t now_ms) {
    if (wheel->count == 0) return -1;
    for (int64_t i = 1; i <= WHEEL_SLOTS; i++) {
        size_t slot = (size_t)(wheel->now_tick + i) % WHEEL_SLOTS;
        uint64_t word = wheel->used[slot / 64] >> (slot % 64);
        if (word == 0) {
            i += 63 - (int64_t)(slot % 64);  // nothing in the rest of this word
            continue;
        }
        int64_t tick = wheel->now_tick + i + __builtin_ctzll(word);
        return MAX(tick * WHEEL_TICK_MS - now_ms, (int64_t)0);
    }
    unreachable("an armed timer has its slot's bit set");
}
