// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::cli {

/// Called before anything else is started. As process 1, the init of a container, this process gets
/// every orphan as a child. A command that it became would wait for daemons that it does not know.
/// So it stays as a small init that passes signals on, reaps orphans and waits until the mounts are
/// gone. It ends with the status of the command. Returns in a new process that continues instead;
/// at once in every other process.
void stay_as_init();

}  // namespace squenv::cli
