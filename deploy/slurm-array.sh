#!/usr/bin/env bash
# Enlarges a folder on a shared disk, in 16 jobs: sbatch slurm-array.sh PHOTOS LARGE
# Whatever ends early is made good by the same command: what is complete is left alone.
#SBATCH --job-name=dggn
#SBATCH --array=0-15
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --output=dggn-%A_%a.log
set -euo pipefail

# --array must begin at 0, so that there are as many shards as jobs.
exec dggn-run "$1" "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
