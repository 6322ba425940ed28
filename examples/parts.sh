#!/bin/bash
# Denoise in several processes of this machine, each with its share of the cores:
#
#     bash parts.sh 4 stack.ome.tif result.ome.zarr --realism 0.3
set -euo pipefail
parts=$1
shift
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > parts ? cores / parts : 1))}

started=()
for number in $(seq "$parts"); do
    napari-rdpdenoise denoise "$@" --part "$number/$parts" &
    started+=($!)
done
failed=0
for process in "${started[@]}"; do
    wait "$process" || failed=1
done
[ "$failed" = 0 ] || exit 1 # the same command again does what is left
napari-rdpdenoise denoise "$@" --finish
