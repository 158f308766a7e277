#!/usr/bin/env bash
# Brings the compose file up on a real engine, with the demo reaching its summary, and takes it down again.
# usage: docker/compose_stage.sh PATH/TO/engine.sh [PYTHON_TEST...]
# Each PYTHON_TEST is run by pytest against the running stack: its address is in STACK_URL, its token in
# the file that STACK_ENV_FILE names (in the form of .env).
set -euo pipefail
cd "$(dirname "$0")/.."
engine=$1
shift
python=$PWD/.venv/bin/python
bash "$engine" up
eval "$(bash "$engine" env)"
export CUSP_TOKEN=ci-token-of-more-than-16-characters POSTGRES_PASSWORD=ci-password CUSP_PORT=${CUSP_PORT:-18787}
CUSP_SECRETS=$(mktemp -d) && export CUSP_SECRETS
printf '%s\n' "$CUSP_TOKEN" > "$CUSP_SECRETS/cusp_token" && printf 'hf_ci\n' > "$CUSP_SECRETS/hf_token" && chmod 644 "$CUSP_SECRETS"/*
compose() { docker compose --project-name cusp-ci -f docker-compose.yml -f docker/compose.ci.yml "$@"; }
finish() { rm -f "${said:-}" "${env_file:-}"; rm -rf "$CUSP_SECRETS"; compose --profile demo down --volumes --timeout 5 >/dev/null 2>&1 || true; bash "$engine" down >/dev/null; }
trap finish EXIT
passed=0
check() { "${@:2}" || { echo "compose: $1: FAILED"; echo "$passed passed, 1 failed"; exit 1; }; passed=$((passed + 1)); echo "compose: $1: ok"; }
ask() { python3 - "$@" <<'PY'
import json, os, sys, urllib.request
request = urllib.request.Request(f"http://127.0.0.1:{os.environ['CUSP_PORT']}{sys.argv[1]}")
if len(sys.argv) > 2:
    request.add_header("Authorization", f"Bearer {os.environ['CUSP_TOKEN']}")
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
PY
}
demo_ran() { ask /api/v1/runs token | python3 -c '
import json, sys
(run,) = json.load(sys.stdin)["runs"]
print(run["name"], run["status"], "step", run["step"], "of", run["max_steps"], "score", run["score"])
sys.exit(0 if run["status"] in ("stopped", "finished") and run["checkpoints"].get("best") else 1)'; }
said=$(mktemp) env_file=$(mktemp)
printf '%s\n' "CUSP_TOKEN=$CUSP_TOKEN" "POSTGRES_PASSWORD=$POSTGRES_PASSWORD" "CUSP_PORT=$CUSP_PORT" "CUSP_SECRETS=$CUSP_SECRETS" > "$env_file"
demo_ends() {  # 0: kept a checkpoint; 3: no transition, which one seed on another machine may give
  local status=0
  compose --profile demo run --rm -T demo > "$said" 2>&1 || status=$?
  cat "$said"
  [ "$status" = 0 ] || [ "$status" = 3 ]
}
worker_is_ready() {
  CUSP_GPU_HOURLY_USD=1.5 compose --profile demo run --rm -T --no-deps demo sh -c '
    set -e
    printf "#include <Python.h>\nint main(void) { return 0; }\n" > /tmp/a.c
    cc -c -o /tmp/a.o "-I$(python -c "import sysconfig; print(sysconfig.get_path(\"include\"))")" /tmp/a.c
    mkdir -p "$HF_HOME" && touch "$HF_HOME/written" && [ "$HF_HOME" = /data/huggingface ]
    [ "$(cat "$HF_TOKEN_FILE")" = hf_ci ] && [ "$CUSP_GPU_HOURLY_USD" = 1.5 ] && [ "$(id -u)" = 1000 ]
    mkdir -p "$HOME" && if touch /app/written 2>/dev/null; then exit 1; fi
    if env | grep -q "$(cat "$CUSP_TOKEN_FILE")"; then exit 1; fi
    cusp doctor --recipe tiny'
}
check "the file is valid" compose --profile demo --profile gpu --profile cpu config --quiet
check "images are built" compose --profile demo build --quiet
check "make up brings database and monitor up" env COMPOSE_PROJECT_NAME=cusp-ci COMPOSE_FILE=docker-compose.yml:docker/compose.ci.yml make --no-print-directory up
check "the monitor is ready" test "$(ask /readyz)" = '{"status":"ok"}'
check "without the token nothing is told" test "$(ask /api/v1/runs)" = 401
check "the demo reaches its summary" demo_ends
check "and prints the address that this machine's browser opens" grep -q "Run page: http://127.0.0.1:$CUSP_PORT/runs/" "$said"
check "a worker can compile, and keeps models on its volume" worker_is_ready
check "its run is stored in PostgreSQL" demo_ran
check "a restarted monitor still has it" bash -c "docker compose --project-name cusp-ci restart monitor >/dev/null 2>&1; for i in \$(seq 60); do python3 -c 'import urllib.request as u, os; u.urlopen(\"http://127.0.0.1:%s/readyz\" % os.environ[\"CUSP_PORT\"])' 2>/dev/null && exit 0; sleep 1; done; exit 1"
check "and answers for it" demo_ran
for test in "$@"; do
  check "$test" env STACK_URL="http://127.0.0.1:$CUSP_PORT" STACK_ENV_FILE="$env_file" "$python" -m pytest -q "$test"
done
echo "$passed passed, 0 failed"
