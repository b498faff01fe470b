// The seam through which tests make sockets fail; private to os.
#pragma once

#include "os/socket.h"

// What the plan says about this call: a true system call when false; else errno is set (to fail
// with), or 0 (cut short to one byte).
bool socket_fault(SocketCall call);
