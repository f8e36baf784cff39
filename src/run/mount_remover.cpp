// SPDX-License-Identifier: MIT
#include "run/mount_remover.h"

#include <sys/mount.h>
#include <unistd.h>

#include <utility>

#include "system/child_process.h"
#include "system/namespaces.h"

namespace squenv::run {

namespace {

bool enter_private_namespace() {
    if (system::needs_no_user_namespace() && system::enter_mount_namespace())
        return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    return system::enter_new_namespaces(system::Propagation::none).has_value();
}

/// Says when it is ready, then removes the directory if it is told to.
void serve(int socket, const std::string& path) {
    char byte = 0;
    if (!enter_private_namespace() || !system::send_byte(socket, 'r') ||
        !system::receive_byte(socket, byte))
        return;
    system::send_byte(socket, ::rmdir(path.c_str()) == 0 ? 'y' : 'n');
}

}  // namespace

MountRemover::MountRemover(std::string path) : path_(std::move(path)) {
    auto child = system::fork_child([this](int socket) { serve(socket, path_); });
    if (!child) return;
    socket_ = std::move(child->socket);
    process_ = child->pid;
    char ready = 0;
    if (!system::receive_byte(socket_.get(), ready)) socket_.reset();
}

MountRemover::~MountRemover() {
    socket_.reset();
    if (process_ > 0) system::reap(process_);
}

bool MountRemover::remove() {
    char answer = 'n';
    return socket_ && system::send_byte(socket_.get(), 'g') &&
           system::receive_byte(socket_.get(), answer) && answer == 'y';
}

}  // namespace squenv::run
