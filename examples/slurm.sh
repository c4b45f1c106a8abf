#!/bin/bash
# One training on several machines of a SLURM cluster: sbatch examples/slurm.sh RECIPE [key=value ...]
#
# SLURM starts torchrun once on each machine, torchrun a process for each of its GPUs. Recipe, recordings and the
# run's folder lie on a file system that all machines share.

#SBATCH --job-name=sedistill
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue

# Two minutes before the time is over every torchrun gets SIGTERM: the run saves a checkpoint and ends. Submitted
# again, the same line goes on from there.

set -euo pipefail

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${hosts%%$'\n'*}
port=$((29500 + SLURM_JOB_ID % 1000))

srun torchrun \
    --nnodes "$SLURM_NNODES" \
    --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv-backend c10d \
    --rdzv-endpoint "$first:$port" \
    --rdzv-id "$SLURM_JOB_ID" \
    --max-restarts 3 \
    -m sedistill train "$@"
