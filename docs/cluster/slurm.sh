#!/usr/bin/env bash
# A run on SLURM's nodes: `sbatch slurm.sh`. It starts Ray on them, runs, and ends Ray again.
# Preempted, out of time or cancelled, it keeps what is done; requeued, it goes on there.
# Of the site this asks PreemptMode=REQUEUE, or GraceTime of 30 s or more; with CANCEL and no grace
# the job is gone, and `sbatch slurm.sh` again goes on where it was.
# Everything under SHARED must be on a disk that all nodes see (Lustre, NFS).
#SBATCH --job-name=facebench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# SIGTERM to this script two minutes before the end: time to keep the rows that are under way.
#SBATCH --signal=B:TERM@120
set -euo pipefail

SHARED=${SHARED:-/shared}
DATA=${DATA:-$SHARED/MICC}
OUT=${OUT:-$SHARED/runs/ours}
VENV=${VENV:-$SHARED/facebench-venv}

source "$VENV/bin/activate"
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
export MLFLOW_TRACKING_URI=${MLFLOW_TRACKING_URI:-sqlite:///$SHARED/mlflow.db}
# Every process joins with the job's token: a port is open to all users of a node.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$SHARED/ray-token-$SLURM_JOB_ID
(umask 077; python3 -c "import secrets; print(secrets.token_hex(32))" > "$RAY_AUTH_TOKEN_PATH")

cores=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
# Two jobs may share a node: each takes a port of its own.
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_ADDRESS=$head:$port

pids=()
command=
ended() {
  # Not `trap -`: its own end of Ray tells it of a SIGTERM, too.
  trap '' TERM INT
  trap - EXIT
  # First the command, which keeps what is done; only then Ray under it.
  if [ -n "$command" ]; then kill -TERM "$command" 2>/dev/null || true; wait "$command" || true; fi
  if [ ${#pids[@]} -gt 0 ]; then
    kill -TERM "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" || true
  fi
  rm -f "$RAY_AUTH_TOKEN_PATH"
}
preempted() {
  ended
  # Out of time is no preemption: SLURM would not requeue it by itself. Who cancels it means it.
  if ! scontrol show job "$SLURM_JOB_ID" 2>/dev/null | grep -q JobState=CANCELLED; then
    scontrol requeue "$SLURM_JOB_ID" || true
  fi
  exit 143
}
trap preempted TERM INT
trap ended EXIT

# From SLURM 22.05 on srun does not take a task's cores from sbatch: Ray would have one.
step=(srun --nodes=1 --ntasks=1 --cpus-per-task="$cores")
# Without PreemptParameters=send_user_signal a preemption's first SIGTERM comes to the steps alone:
# Ray would end, the command fail and with it the job, before anybody put it back into the queue.
told='trap "scancel --batch --signal=TERM $SLURM_JOB_ID; kill -TERM \$!" TERM; "$0" "$@" & wait $!; wait $!'
"${step[@]}" --nodelist="$head" bash -c "$told" \
  ray start --head --port="$port" --num-cpus="$cores" --num-gpus="$gpus" --block &
pids+=($!)
for node in "${nodes[@]:1}"; do
  "${step[@]}" --nodelist="$node" bash -c "$told" \
    ray start --address="$RAY_ADDRESS" --num-cpus="$cores" --num-gpus="$gpus" --block &
  pids+=($!)
done

# Versions, paths, memory and clock of every node, tried until all of them have joined.
count='import ray; ray.init(log_to_driver=False); print(len(ray.nodes()))'
for attempt in 1 2 3 4 5 6; do
  joined=$(python3 -c "$count" 2>/dev/null || echo 0)
  if [ "$joined" -ge "${#nodes[@]}" ]; then break; fi
  sleep "$((5 * attempt))"
done
facebench doctor --cluster "$RAY_ADDRESS" --shared "$DATA"

# In the background, or bash would hear SIGTERM only after it.
facebench run micc --cluster --data "$DATA" --out "$OUT" --method ours --tracking &
command=$!
status=0
wait "$command" || status=$?
command=
exit "$status"
