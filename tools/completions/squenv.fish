# SPDX-License-Identifier: MIT
# Completion of squenv and squenv-pack for fish.

function __squenv_mountpoints
    squenv list --json 2>/dev/null | string replace -rf '^ *"mountpoint": "(.*)",?$' '$1'
end

function __squenv_mount_options
    set -l done (commandline -ct | string replace -rf '^(.*,).*$' '$1')
    for option in offset= subdir= timeout= uid= gid= cache_size= threads= failover= prefetch= overlay= record= stage= \
            allow_other allow_root default_permissions log= notify_pipe= fsname= subtype= debug noexec exec ro nosuid nodev
        echo "$done$option"
    end
end

# IMAGE[:PATH],...: the name behind the last comma or colon.
function __squenv_images
    set -l done (commandline -ct | string replace -rf '^(.*[,:]).*$' '$1')
    set -l rest (commandline -ct | string replace -r '^.*[,:]' '')
    for file in (__fish_complete_path $rest)
        echo "$done$file"
    end
end

# The numbers of the versions of the image in the command line.
function __squenv_versions
    for word in (commandline -opc)[3..]
        test -f $word; or continue
        squenv history --json $word 2>/dev/null | string replace -rf '^ *"number": ([0-9]+),$' '$1'
        return
    end
end

# Behind "--" stands a command of its own.
function __squenv_command
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words); or return
    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end

function __squenv_before_command
    __fish_seen_subcommand_from run shell; and not contains -- -- (commandline -opc)
end

set -l commands create pack run shell edit env mount umount list stats upgrade info ls cat diff extract verify history rollback prune doctor cache trace bench help version
complete -c squenv -f
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -s V -l version -d 'Print the version'
complete -c squenv -n 'not __fish_seen_subcommand_from ls' -s h -l help -d 'Print help'
complete -c squenv -n '__fish_seen_subcommand_from ls' -l help -d 'Print help'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s h -l human-readable -d 'Sizes as 1.5 MiB'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s a -l all -d '. and .. as well'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s d -l directory -d 'A directory itself'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a 'help version'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a mount -d 'Mount an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a create -d 'Make an environment'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a pack -d 'Pack a tree'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a run -d 'Run a command with images mounted'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a shell -d 'Start a shell with images mounted'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a edit -d 'Change an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a umount -d 'Unmount a mount point'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a env -d 'Print what run would set'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'Test every way to mount'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a cache -d 'Show or remove unpacked images'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a list -d 'Show your mounts'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a stats -d 'Show live counters'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a upgrade -d 'Serve mounts by this version'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a info -d 'Show what an image is'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a ls -d 'List files inside an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a cat -d 'Print files of an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a diff -d 'Show how two images differ'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a extract -d 'Unpack an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a verify -d 'Report damage'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a history -d 'Show the versions of an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a rollback -d 'Make an earlier version current'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a prune -d 'Remove old versions'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a trace -d 'Merge or show recordings'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a bench -d 'Time a command'
complete -c squenv -n "__fish_seen_subcommand_from $commands" -s v -l verbose -d 'Say more'
complete -c squenv -n "__fish_seen_subcommand_from $commands" -s q -l quiet -d 'Say errors only'
complete -c squenv -n '__fish_seen_subcommand_from mount info ls cat diff extract verify doctor' -F
complete -c squenv -n __squenv_before_command -a '(__squenv_images)'
complete -c squenv -n __squenv_before_command -l via -x -a 'auto direct fusermount userns extract' -d 'Way to mount'
complete -c squenv -n __squenv_before_command -l record -r -d 'Write what was touched'
complete -c squenv -n __squenv_before_command -l env -x -d 'Set a variable, NAME=VALUE'
complete -c squenv -n __squenv_before_command -s o -x -a '(__squenv_mount_options)' -d 'Mount options'
complete -c squenv -n __squenv_before_command -l force -d 'Also at another path than it was made for'
complete -c squenv -n __squenv_before_command -l fast-import -d 'Faster imports: no module is asked for a terminal'
complete -c squenv -n '__fish_seen_subcommand_from edit; and not contains -- -- (commandline -opc)' -a '(__squenv_images)'
complete -c squenv -n '__fish_seen_subcommand_from edit' -l env -x -d 'Set a variable, NAME=VALUE'
complete -c squenv -n '__fish_seen_subcommand_from edit' -l staging -x -a '(__fish_complete_directories)' -d 'Keep the changes there'
complete -c squenv -n '__fish_seen_subcommand_from edit' -l resume -d 'Go on with a session that was not ended'
complete -c squenv -n '__fish_seen_subcommand_from edit' -l discard -d 'Throw such a session away'
complete -c squenv -n '__fish_seen_subcommand_from edit' -l force -d 'Also at another path than it was made for'
complete -c squenv -n __squenv_before_command -l view -x -d 'Views of uenvs'
complete -c squenv -n __squenv_before_command -l no-default-view -d 'Only the views of --view'
complete -c squenv -n '__fish_seen_subcommand_from env' -a '(__squenv_images)'
complete -c squenv -n '__fish_seen_subcommand_from env' -l view -x -d 'Views of uenvs'
complete -c squenv -n '__fish_seen_subcommand_from env' -l no-default-view -d 'Only the views of --view'
complete -c squenv -n '__fish_seen_subcommand_from env' -l format -x -a 'sh fish json' -d 'Of the lines'
complete -c squenv -n '__fish_seen_subcommand_from run edit; and contains -- -- (commandline -opc)' -x -a '(__squenv_command)'
complete -c squenv -n '__fish_seen_subcommand_from cache; and not __fish_seen_subcommand_from list clean' -a 'list clean'
complete -c squenv -n '__fish_seen_subcommand_from mount' -s o -x -a '(__squenv_mount_options)' -d 'Mount options'
complete -c squenv -n '__fish_seen_subcommand_from mount' -s f -l foreground -d 'Serve until unmounted'
complete -c squenv -n '__fish_seen_subcommand_from mount' -s d -l debug -d 'Print every request'
complete -c squenv -n '__fish_seen_subcommand_from mount' -l via -x -a 'auto direct fusermount' -d 'Way to mount'
complete -c squenv -n '__fish_seen_subcommand_from mount' -l log -r -a 'stderr syslog' -d 'Log destination'
complete -c squenv -n '__fish_seen_subcommand_from create' -F
complete -c squenv -n '__fish_seen_subcommand_from create' -s o -l output -r -F -d 'The image'
complete -c squenv -n '__fish_seen_subcommand_from create' -s r -l requirement -r -F -d 'A file of requirements'
complete -c squenv -n '__fish_seen_subcommand_from create' -l at -x -a '(__fish_complete_directories)' -d 'Its path'
complete -c squenv -n '__fish_seen_subcommand_from create' -l python -r -F -d 'A version or a path'
complete -c squenv -n '__fish_seen_subcommand_from create' -l system-site-packages -d 'It also sees the packages of that Python'
complete -c squenv -n '__fish_seen_subcommand_from create' -l index-url -x -d 'Where packages come from'
complete -c squenv -n '__fish_seen_subcommand_from create' -l staging -x -a '(__fish_complete_directories)' -d 'Make it in this directory'
complete -c squenv -n '__fish_seen_subcommand_from create' -l warm -x -d 'A command to record'
complete -c squenv -n '__fish_seen_subcommand_from create' -s f -l force -d 'Replace the image'
complete -c squenv -n '__fish_seen_subcommand_from create' -l keep -d 'Keep what is replaced'
complete -c squenv -n '__fish_seen_subcommand_from create' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from pack' -a '(__fish_complete_directories)'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s o -l output -r -F -d 'The image'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l tar -r -F -d 'Pack a tar archive'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l from-image -r -F -d 'Pack what is in another image'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s f -l force -d 'Replace the image'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l codec -x -a 'zstd gzip xz lz4 lzo none' -d 'Compressor'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l level -x -d 'Of the codec'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s b -l block-size -x -a '4K 8K 16K 32K 64K 128K 256K 512K 1M' -d 'A power of two'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l no-fragments -d 'Blocks of their own for small files'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l no-duplicates -d 'Store files again that are the same'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l no-appendix -d 'Record no path and no digests'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l mount-point -x -a '(__fish_complete_directories)' -d 'The path to record'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l hot -r -F -d 'A trace of what to store first'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l warm -x -d 'A command to record'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l owner -x -a 'keep root' -d 'keep, root or UID:GID'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l mtime -x -d 'Time of every file, in seconds since 1970'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s x -l exclude -x -d 'Leave out, as in .gitignore'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l exclude-from -r -F -d 'A file of such globs'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s X -l one-file-system -d 'Do not enter mount points'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l ignore-unreadable -d 'Leave out what cannot be read'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l strict -d 'Fail when attributes would be lost'
complete -c squenv -n '__fish_seen_subcommand_from pack' -s j -l jobs -x -d 'Threads that compress'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l readers -x -d 'Threads that read files'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l memory -x -d 'For file data under way'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l compile -d 'Compile all Python modules first'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l verify -d 'Read the image back and compare'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from pack' -l keep -d 'Keep what is replaced'
complete -c squenv -n '__fish_seen_subcommand_from history rollback prune' -F
complete -c squenv -n '__fish_seen_subcommand_from history rollback prune' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from history' -l pin -x -a '(__squenv_versions)' -d 'Keep when pruning'
complete -c squenv -n '__fish_seen_subcommand_from history' -l unpin -x -a '(__squenv_versions)' -d 'Prune as any other'
complete -c squenv -n '__fish_seen_subcommand_from rollback' -l to -x -a '(__squenv_versions)' -d 'The version'
complete -c squenv -n '__fish_seen_subcommand_from prune' -l keep -x -d 'How many stay'
complete -c squenv -n '__fish_seen_subcommand_from prune' -l older-than -x -a '7d 30d' -d 'Replaced longer ago'
complete -c squenv -n '__fish_seen_subcommand_from rollback prune' -s n -l dry-run -d 'Only say what would change'
complete -c squenv -n '__fish_seen_subcommand_from umount' -s l -l lazy -d 'Detach now'
complete -c squenv -n '__fish_seen_subcommand_from umount' -s w -l wait -d 'Until it is gone'
complete -c squenv -n '__fish_seen_subcommand_from umount stats upgrade' -a '(__squenv_mountpoints)'
complete -c squenv -n '__fish_seen_subcommand_from list stats upgrade info ls diff verify doctor cache' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from info ls cat extract verify' -l offset -x -a auto -d 'Bytes before the image'
complete -c squenv -n '__fish_seen_subcommand_from bench' -F
complete -c squenv -n '__fish_seen_subcommand_from bench' -l mount-point -x -a '(__fish_complete_directories)' -d 'Where to mount'
complete -c squenv -n '__fish_seen_subcommand_from bench' -s o -x -a '(__squenv_mount_options)' -d 'Mount options'
complete -c squenv -n '__fish_seen_subcommand_from bench' -l rounds -x -d 'How often'
complete -c squenv -n '__fish_seen_subcommand_from bench' -l html -r -F -d 'Write a page'
complete -c squenv -n '__fish_seen_subcommand_from bench' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from trace' -a 'merge report' -F
complete -c squenv -n '__fish_seen_subcommand_from trace' -s o -l output -r -F -d 'The merged trace'
complete -c squenv -n '__fish_seen_subcommand_from trace' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s l -l long -d 'Mode, owner, size and time'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s R -l recursive -d 'What is below'
complete -c squenv -n '__fish_seen_subcommand_from diff' -s a -l all -d 'Every file'
complete -c squenv -n '__fish_seen_subcommand_from diff' -l packages -d 'Packages only'
complete -c squenv -n '__fish_seen_subcommand_from extract' -l path -x -d 'Only what is below'
complete -c squenv -n '__fish_seen_subcommand_from extract' -s f -l force -d 'Into a directory that has content'
complete -c squenv -n '__fish_seen_subcommand_from extract' -l no-xattrs -d 'Leave xattrs out'
complete -c squenv -n '__fish_seen_subcommand_from extract' -l no-owner -d 'Do not restore owners'
complete -c squenv -n '__fish_seen_subcommand_from extract verify' -s j -l jobs -x -d Threads
complete -c squenv-pack -w 'squenv pack'
complete -c squenv-pack -l version -d 'Print the version'
