# SPDX-License-Identifier: MIT
# Completion of squenv and squenv-pack for bash.

_squenv_mountpoints() {
    squenv list --json 2>/dev/null |
        sed -n 's/^ *"mountpoint": "\(.*\)",\{0,1\}$/\1/p'
}

# The numbers of the versions of the first word that is a file.
_squenv_versions() {
    local word
    for word in "$@"; do
        [[ -f $word ]] || continue
        squenv history --json "$word" 2>/dev/null |
            sed -n 's/^ *"number": \([0-9]*\),$/\1/p'
        return
    done
}

_squenv_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# What follows an option of pack; false when it takes no value.
_squenv_pack_value() {
    local previous=$1 word=$2
    case $previous in
        -o | --output | --tar | --from-image | --exclude-from | --hot) _squenv_files -f "$word" ;;
        --codec) mapfile -t COMPREPLY < <(compgen -W "zstd gzip xz lz4 lzo none" -- "$word") ;;
        -b | --block-size)
            mapfile -t COMPREPLY < <(compgen -W "4K 8K 16K 32K 64K 128K 256K 512K 1M" -- "$word") ;;
        --owner) mapfile -t COMPREPLY < <(compgen -W "keep root" -- "$word") ;;
        --mount-point) _squenv_files -d "$word" ;;
        --level | --warm | --mtime | -x | --exclude | -j | --jobs | --readers | --memory) ;;
        *) return 1 ;;
    esac
}

# The same for create.
_squenv_create_value() {
    case $1 in
        -o | --output | -r | --requirement | --python) _squenv_files -f "$2" ;;
        --at | --staging) _squenv_files -d "$2" ;;
        --index-url | --warm) ;;
        *) return 1 ;;
    esac
}

_squenv_pack_options="--output --tar --from-image --force --keep --codec --level --block-size
    --no-fragments --no-duplicates --no-appendix --mount-point --hot --warm --owner --mtime --exclude
    --exclude-from --one-file-system --ignore-unreadable --strict --jobs --readers --memory
    --compile --compile=0,1,2 --verify --json"

# -o takes a list: completes its last word behind what is there.
_squenv_mount_options() {
    local word=$1 done=''
    [[ $word == *,* ]] && done=${word%,*},
    compopt -o nospace 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "offset= subdir= timeout= uid= gid= cache_size=
        threads= failover= prefetch= overlay= record= stage= allow_other allow_root default_permissions log= notify_pipe= fsname= subtype=
        debug noexec exec ro nosuid nodev" -- "${word##*,}")
    # What stands in front of the last "=" is not replaced.
    [[ $done == *=* && $COMP_WORDBREAKS == *=* ]] &&
        COMPREPLY=("${COMPREPLY[@]#"${done%=*}="}")
    return 0
}

# IMAGE[:PATH],...: completes the last name. bash has split the word at colons already.
_squenv_images() {
    local word=${1#:} done=''
    if [[ $word != *,* ]]; then
        _squenv_files -f "$word"
        return
    fi
    done=${word%,*},
    mapfile -t COMPREPLY < <(compgen -f -P "$done" -- "${word##*,}")
}

# The command behind "--", which is word number $1.
_squenv_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    else
        _squenv_files -f "${COMP_WORDS[COMP_CWORD]}"
    fi
}

_squenv() {
    local word previous command='' options i operands=0 part
    local -a words=()
    # bash splits words at "=": put them together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        if ((i > 0)) && [[ $part == = || ${COMP_WORDS[i - 1]} == = ]]; then
            words[-1]+=$part
        else
            words+=("$part")
        fi
    done
    if [[ ${COMP_WORDS[1]} == run || ${COMP_WORDS[1]} == edit ]]; then
        for ((i = 2; i < COMP_CWORD; i++)); do
            [[ ${COMP_WORDS[i]} == -- ]] && _squenv_command $((i + 1)) && return
        done
    fi
    word=${words[-1]}
    previous=${words[-2]}
    COMPREPLY=()
    [[ ${words[0]##*/} == squenv-pack ]] && command=pack
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
            -o | --via | --env | --view | --format | --record | --log | --offset | --path | -j | --jobs) ((i++)) ;;
            --output | --tar | --from-image | --codec | --level | -b | --block-size | \
                --mount-point | --hot | --warm | --owner | --mtime | -x | --exclude | --exclude-from | \
                --readers | --memory | --rounds | --html | --pin | --unpin | --to | \
                --older-than | -r | --requirement | --at | --python | --index-url | --staging) ((i++)) ;;
            --keep) [[ $command == prune ]] && ((i++)) ;;
            -*) ;;
            *) if [[ -z $command ]]; then command=${words[i]}; else ((operands++)); fi ;;
        esac
    done
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "create pack run shell edit env mount umount list stats upgrade info ls cat diff extract
            verify history rollback prune doctor cache trace bench help version --help --version" -- "$word")
        return
    fi
    if [[ $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "create pack run shell edit env mount umount list stats upgrade info ls cat diff extract
            verify history rollback prune doctor cache trace bench" -- "$word")
        return
    fi
    [[ $command == create ]] && _squenv_create_value "$previous" "$word" && return
    [[ $command == pack ]] && _squenv_pack_value "$previous" "$word" && return
    case $previous in
        -o) [[ $command =~ ^(mount|run|shell|bench)$ ]] && _squenv_mount_options "$word" && return ;;
        --via)
            options="auto direct fusermount"
            [[ $command != mount ]] && options+=" userns extract"
            mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
            return ;;
        --view) return ;;
        --format) mapfile -t COMPREPLY < <(compgen -W "sh fish json" -- "$word"); return ;;
        --env) mapfile -t COMPREPLY < <(compgen -v -S = -- "$word"); return ;;
        --log)
            mapfile -t COMPREPLY < <(compgen -W "stderr syslog" -- "$word"; compgen -f -- "$word")
            return ;;
        --offset) mapfile -t COMPREPLY < <(compgen -W auto -- "$word"); return ;;
        --mount-point | --staging) _squenv_files -d "$word"; return ;;
        --html) _squenv_files -f "$word"; return ;;
        --path | -j | --jobs | --rounds) return ;;
        --pin | --unpin | --to)
            mapfile -t COMPREPLY < <(compgen -W "$(_squenv_versions "${words[@]:2}")" -- "$word")
            return ;;
        --older-than) mapfile -t COMPREPLY < <(compgen -W "7d 30d" -- "$word"); return ;;
        --keep) [[ $command == prune ]] && return ;;
    esac
    if [[ $word == -* ]]; then
        options="--help --verbose --quiet"
        case $command in
            create)
                options+=" --output --requirement --at --python --system-site-packages --index-url
                    --staging --warm --force --keep --json" ;;
            pack) options+=" $_squenv_pack_options" ;;
            mount) options+=" -o --foreground --debug --via --log" ;;
            run | shell)
                options+=" --via --env -o --record --force --fast-import --view
                    --no-default-view" ;;
            edit) options+=" --env --staging --resume --discard --force" ;;
            env) options+=" --view --no-default-view --format" ;;
            umount) options+=" --lazy --wait" ;;
            list | stats | upgrade | doctor | cache) options+=" --json" ;;
            info) options+=" --offset --json" ;;
            ls) options+=" --offset --all --directory --human-readable --long --recursive --json" ;;
            cat) options+=" --offset" ;;
            diff) options+=" --all --packages --json" ;;
            extract) options+=" --offset --path --force --no-xattrs --no-owner --jobs" ;;
            verify) options+=" --offset --json --jobs" ;;
            history) options+=" --pin --unpin --json" ;;
            rollback) options+=" --to --dry-run --json" ;;
            prune) options+=" --keep --older-than --dry-run --json" ;;
            trace) options+=" --output --json" ;;
            bench) options+=" --mount-point -o --rounds --json --html" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    case $command:$operands in
        run:* | shell:* | edit:* | env:*) _squenv_images "$word" ;;
        cache:0) mapfile -t COMPREPLY < <(compgen -W "list clean" -- "$word") ;;
        trace:0) mapfile -t COMPREPLY < <(compgen -W "merge report" -- "$word") ;;
        trace:*) _squenv_files -f "$word" ;;
        umount:0 | stats:0 | upgrade:*)
            compopt -o filenames 2>/dev/null
            local mountpoint
            while IFS= read -r mountpoint; do
                [[ $mountpoint == "$word"* ]] && COMPREPLY+=("$mountpoint")
            done < <(_squenv_mountpoints) ;;
        create:*) _squenv_files -f "$word" ;;
        pack:0 | mount:1 | extract:1 | doctor:1) _squenv_files -d "$word" ;;
        mount:0 | info:0 | ls:0 | cat:0 | extract:0 | verify:0 | doctor:0 | bench:0 | \
            diff:0 | diff:1 | history:0 | rollback:0 | prune:0) _squenv_files -f "$word" ;;
    esac
}
complete -F _squenv squenv squenv-pack
