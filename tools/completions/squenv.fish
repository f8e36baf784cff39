# SPDX-License-Identifier: MIT
# Completion of squenv for fish.

function __squenv_mountpoints
    squenv list --json 2>/dev/null | string replace -rf '^ *"mountpoint": "(.*)",?$' '$1'
end

function __squenv_mount_options
    set -l done (commandline -ct | string replace -rf '^(.*,).*$' '$1')
    for option in offset= subdir= timeout= uid= gid= cache_size= threads= allow_other allow_root \
            default_permissions log= notify_pipe= fsname= subtype= debug ro nosuid nodev
        echo $done$option
    end
end

set -l commands mount umount list stats info ls cat extract verify
complete -c squenv -f
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -l version -d 'Print the version'
complete -c squenv -s h -l help -d 'Print help'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a mount -d 'Mount an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a umount -d 'Unmount a mount point'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a list -d 'Show your mounts'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a stats -d 'Show live counters'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a info -d 'Show what an image is'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a ls -d 'List files inside an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a cat -d 'Print files of an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a extract -d 'Unpack an image'
complete -c squenv -n "not __fish_seen_subcommand_from $commands" -a verify -d 'Report damage'
complete -c squenv -n "__fish_seen_subcommand_from $commands" -s v -l verbose -d 'Say more'
complete -c squenv -n "__fish_seen_subcommand_from $commands" -s q -l quiet -d 'Say errors only'
complete -c squenv -n '__fish_seen_subcommand_from mount info ls cat extract verify' -F
complete -c squenv -n '__fish_seen_subcommand_from mount' -s o -x -a '(__squenv_mount_options)' -d 'Mount options'
complete -c squenv -n '__fish_seen_subcommand_from mount' -s f -l foreground -d 'Serve until unmounted'
complete -c squenv -n '__fish_seen_subcommand_from mount' -s d -l debug -d 'Print every request'
complete -c squenv -n '__fish_seen_subcommand_from mount' -l via -x -a 'auto direct fusermount' -d 'Way to mount'
complete -c squenv -n '__fish_seen_subcommand_from mount' -l log -r -a 'stderr syslog' -d 'Log destination'
complete -c squenv -n '__fish_seen_subcommand_from umount' -s l -l lazy -d 'Detach now'
complete -c squenv -n '__fish_seen_subcommand_from umount stats' -a '(__squenv_mountpoints)'
complete -c squenv -n '__fish_seen_subcommand_from list stats info ls verify' -l json -d 'Print JSON'
complete -c squenv -n '__fish_seen_subcommand_from info ls cat extract verify' -l offset -x -a auto -d 'Bytes before the image'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s l -l long -d 'Mode, owner, size and time'
complete -c squenv -n '__fish_seen_subcommand_from ls' -s R -l recursive -d 'What is below'
complete -c squenv -n '__fish_seen_subcommand_from extract' -l path -x -d 'Only what is below'
complete -c squenv -n '__fish_seen_subcommand_from extract' -s f -l force -d 'Into an existing directory'
complete -c squenv -n '__fish_seen_subcommand_from extract' -l no-xattrs -d 'Leave xattrs out'
complete -c squenv -n '__fish_seen_subcommand_from extract verify' -s j -l jobs -x -d Threads
