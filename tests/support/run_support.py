# SPDX-License-Identifier: MIT
"""What the tests of `run` and `shell` have in common."""

import os
import shutil
import subprocess

from support.processes import check, mounts_below, processes_of, run, status, wait_for

IMPORT = ["python", "-c", "import probe, sys; print(probe.VALUE, sys.prefix)"]


def expect_import(result, path):
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"42 {path}\n", (result.stdout, result.stderr)


def wait_until_nothing_is_left(work, path):
    """No mount at `path`, and no process of the program: with it goes its meeting point."""
    wait_for(lambda: not mounts_below(path), f"the end of the mount at {path}")
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of all processes")


OWN_FAILURE = 125
NO_WAY = 4


def squenv_run(work, image, command, *options, user=True, **more):
    return work.squenv("run", *options, image, "--", *command, user=user, **more)


def background(work):
    return processes_of(work.programs / "squenv")


def daemon_name(pid):
    """Or "" when it has ended."""
    return status(pid).get("Name", "")


# What one mount has, besides a walker that ends soon.
SERVING = ("squenv", "squenv-server", "squenv-standby")
PROCESSES = ["squenv", "squenv-server", "squenv-standby", "squenv-standby", "squenv-supervis"]


def processes_of_mount(work):
    """The processes of the only mount. Others have ended; they begin with the name of theirs."""

    def settled():
        pids = background(work)
        names = sorted(map(daemon_name, pids))
        return pids if names == PROCESSES else []

    return wait_for(settled, "the processes of one mount alone")


def the_daemon(work):
    """The process that serves the only mount. Others have their own names after a moment, and those
    that asked for statistics end."""
    def found():
        pids = [pid for pid in background(work) if daemon_name(pid) == "squenv"]
        return pids if len(pids) == 1 else None

    return wait_for(found, "one daemon")[0]


def counted(path):
    """The command that prints how many entries a directory has."""
    return ["sh", "-c", f"ls {path} | wc -l"]


def entries_of(work, image):
    return len(work.squenv("ls", image).stdout.splitlines())


def capabilities(pid="self"):
    return status(pid)["CapEff"]


def quoted(words):
    return " ".join(f"'{os.fspath(word)}'" for word in words)


def without_namespaces(script):
    """Runs a shell script in a user namespace of the test's own, with all ids, that allows no
    further ones: the switch of the machine itself may be out of the test's reach."""
    # The shell began without an id, and so without capabilities; another one gets them.
    words = ["unshare", "-U", "-m", "--propagation", "private", "sh", "-c",
             'read go; exec sh -c "$0"',
             f"echo 0 > /proc/sys/user/max_user_namespaces || exit 99\n{script}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        own = os.readlink("/proc/self/ns/user")
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/ns/user") != own, "the namespace")
        for name in ["uid_map", "gid_map"]:
            with open(f"/proc/{process.pid}/{name}", "w", encoding="ascii") as file:
                file.write("0 0 65536")
        try:
            output, errors = process.communicate("go\n", timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()  # which the end of the block waits for
            raise
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


# Machines on which something is missing: what a shell does before, in a mount namespace.
NO_DEVICE = "mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3"
NO_FUSE = "mount -t tmpfs -o mode=755 none /dev && touch /dev/null && chmod 666 /dev/null"
CLOSED_DEVICE = NO_DEVICE + " && mknod -m 600 /dev/fuse c 10 229"
NO_SETUID = ("helper=$(readlink -f $(command -v fusermount3)); cp $helper {work}/fusermount3; "
             "chmod 755 {work}/fusermount3; mount --bind {work}/fusermount3 $helper")
NO_HELPER = "mount --bind /dev/null $(readlink -f $(command -v fusermount3))"


def on_machine(script, words):
    """Runs `words` on a machine that `script` changed before, in a mount namespace."""
    return run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                f"set -e\n{script}\nset +e\n{quoted(words)}"])


def machine(work, script, image, path, *options):
    """Runs the import on a machine that `script` takes something from, in a mount namespace."""
    command = quoted(work.command("run", *options, image, "--", *IMPORT))
    return run(["unshare", "-m", "--propagation", "private", "sh", "-c", f"{script}\n{command}"])


FILTER = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define LOAD(FIELD) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, FIELD))
#define DENY BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define CALL(NAME) LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##NAME, 0, 1), DENY
#define CALL_WITH(NAME, FLAG) LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##NAME, 0, 3), \
    LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FLAG, 0, 1), DENY
int main(int argc, char **argv) {
    (void)argc;
    struct sock_filter code[] = {RULES, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if ((!KEEPS_SETUID && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
    execvp(argv[1], argv + 1);
    return 98;
}
"""


def build_filter(work, rules, keeps_setuid=False):
    """A program that runs another one to which the calls of `rules` are not permitted. One that
    keeps what setuid programs may do has to be begun by root."""
    source = work.path / "filter.c"
    source.write_text(FILTER, encoding="ascii")
    check(["cc", f"-DRULES={rules}", f"-DKEEPS_SETUID={int(keeps_setuid)}", "-o",
           work.path / "filter", source])
    return work.path / "filter"


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(mode)


def packed(work, tree, *options):
    """The image of a tree of the user's; an empty directory is left of that."""
    check(["chown", "-hR", "1000:1000", tree])
    image = work.path / f"{tree.name}.squashfs"
    check(work.command("pack", "-q", tree, "-o", image, *options))
    shutil.rmtree(tree)
    tree.mkdir()
    os.chown(tree, 1000, 1000)
    return image


def make_conda(tree):
    write(tree / "conda-meta/history", "==> 2024-01-01 00:00:00 <==\n")
    write(tree / "bin/hello", '#!/bin/sh\necho "$CONDA_PREFIX $CONDA_DEFAULT_ENV $CONDA_SHLVL"\n',
          0o755)
    write(tree / "etc/conda/activate.d/b.sh", "export SECOND=$FIRST-second\n")
    write(tree / "etc/conda/activate.d/a.sh", "export FIRST=${CONDA_PREFIX##*/}\n")
    write(tree / "etc/conda/activate.d/a.fish", "set -gx SECOND fishy\n")
    write(tree / "etc/conda/activate.d/a.csh", "setenv SECOND wrong\n")
