#!/bin/bash
#SBATCH --job-name=denoise
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#
# Denoise on a SLURM cluster. On the login node:
#
#     PARTS=8 bash slurm_array.sh /data/stack.ome.tif /data/result.ome.zarr --realism 0.3
#
# It sends itself: an array of PARTS jobs, and one that puts them together when all of them have ended well. Where
# some failed, send these alone, `PARTS=8 sbatch --array=3,5 slurm_array.sh ...`, and then one without --array.
set -euo pipefail
export PARTS=${PARTS:-8}

if [ -z "${SLURM_JOB_ID:-}" ]; then # not inside a job yet
    array=$(sbatch --parsable --array="1-$PARTS" "$0" "$@")
    sbatch --dependency="afterok:$array" "$0" "$@"
elif [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
    napari-rdpdenoise denoise "$@" --part "$SLURM_ARRAY_TASK_ID/$PARTS"
else
    napari-rdpdenoise denoise "$@" --finish
fi
