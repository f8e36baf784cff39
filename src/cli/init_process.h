// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::cli {

/// Called before anything else is started. As process 1, the init of a container, this process gets
/// every orphan for a child: a command that it became would wait for daemons that it does not know.
/// So it stays as a small init: it passes signals on, reaps orphans, waits until what was mounted is
/// gone, and ends with the status of the command. Returns in a new process that goes on instead;
/// at once for every other process.
void stay_as_init();

}  // namespace squenv::cli
