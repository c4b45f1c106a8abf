#!/bin/bash
# One training on several machines that are reached by ssh, without a job manager:
#
#     HOSTS="first second third" PROCESSES=4 examples/ssh.sh RECIPE [key=value ...]
#
# PROCESSES of each machine, as many as it has GPUs. The current folder, in which recipe, recordings and the run's
# folder lie, and torchrun (TORCHRUN, the one found here) have to be there under the same path on all of them.
# A machine that is lost costs no more than the minutes since the last checkpoint: the others begin again there
# with fewer processes, down to LEAST machines (1). Ctrl-C saves and ends all; the same line goes on.

set -euo pipefail

read -ra hosts <<< "$HOSTS"
command=(
    "${TORCHRUN:-$(command -v torchrun)}"
    --nnodes "${LEAST:-1}:${#hosts[@]}"
    --nproc-per-node "${PROCESSES:-1}"
    --rdzv-backend c10d
    --rdzv-endpoint "${hosts[0]}:${PORT:-29500}"
    --rdzv-id "${RUN:-$$}"
    --max-restarts 3
    -m sedistill train "$@"
)
printf -v line '%q ' "${command[@]}"
printf -v folder '%q' "$PWD"

connections=()
for host in "${hosts[@]}"; do
    # With a terminal of its own (-tt) what runs there hears of it when the connection ends.
    ssh -tt "$host" "cd $folder && exec $line" < /dev/null &
    connections+=($!)
done
trap 'kill "${connections[@]}" 2> /dev/null' INT TERM HUP

code=0
for connection in "${connections[@]}"; do
    wait "$connection" || code=$?
done
exit "$code"
