#!/bin/bash
# Ends the workers and trainers that a cloud with this home folder left running (they outlive it by design): stop_workers.sh HOME
home=$(readlink -f "$1") || exit 0
for process in /proc/[0-9]*; do
    tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -qF -- "$home/" || continue
    [ "${process#/proc/}" = $$ ] || kill "${process#/proc/}" 2>/dev/null
done
exit 0
