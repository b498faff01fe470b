// The other side of a connection in tests: dials, says something, hears what comes back. On
// loopback, with sockets that do not block; nothing takes longer than three seconds.
#pragma once

#include <stdatomic.h>

#include "base/test.h"
#include "os/socket.h"

Socket dial(Test *t, uint16_t port);

// All of it, however small the pieces that are taken. Who has left is told nothing.
void say(Test *t, Socket socket, Text text);
// The same without a test, for threads: false when not all of it was taken.
bool say_all(Socket socket, Text text);

// What comes until `needle` is among it, until the other side ends, or until it says nothing for
// three seconds. A copy on the test's arena.
Text hear(Test *t, Socket socket, Text needle);

bool has(Text text, Text needle);
size_t count_of(Text text, Text needle);

// Whether a number reaches `want` within five seconds.
bool wait_for(_Atomic int *number, int want);
