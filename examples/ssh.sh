#!/bin/bash
# One training on several machines that are reached by ssh, without a job manager:
#
#     HOSTS="first second third" PROCESSES=4 examples/ssh.sh RECIPE [key=value ...]
#
# PROCESSES of each machine, as many as it has GPUs. The current folder, in which recipe, recordings and the run's
# folder lie, and torchrun (TORCHRUN, the one found here) have to be there under the same path on all of them.
# A machine that is lost costs no more than the minutes since the last checkpoint: the others begin again there
# with fewer processes, down to LEAST machines (1). One that comes back (the same line with HOSTS=itself, ENDPOINT=
# the first machine, MOST= how many there may be, and RUN= what is printed) joins in. Ctrl-C saves and ends all; the
# same line goes on.

set -euo pipefail

read -ra hosts <<< "$HOSTS"
run=${RUN:-$$}
echo "RUN=$run"
command=(
    "${TORCHRUN:-$(command -v torchrun)}"
    --nnodes "${LEAST:-1}:${MOST:-${#hosts[@]}}"
    --nproc-per-node "${PROCESSES:-1}"
    --rdzv-backend c10d
    --rdzv-endpoint "${ENDPOINT:-${hosts[0]}}:${PORT:-29500}"
    --rdzv-id "$run"
    --max-restarts 3
    -m sedistill train "$@"
)
printf -v line '%q ' "${command[@]}"
printf -v folder '%q' "$PWD"

connections=()
for host in "${hosts[@]}"; do
    # With a terminal of its own (-tt) what runs there hears of it when the connection ends.
    # Notes that torchrun shares among its restarts cannot be read by a machine that joins later.
    ssh -tt "$host" "cd $folder && TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 exec $line" < /dev/null &
    connections+=($!)
done
trap 'kill "${connections[@]}" 2> /dev/null' INT TERM HUP

code=0
for connection in "${connections[@]}"; do
    wait "$connection" || code=$?
done
exit "$code"
