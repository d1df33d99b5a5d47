#!/usr/bin/env bash
# Recorded provider traffic through the gateway's native routes: the official SDKs must read exactly as many rows
# through the gateway as straight from the replay server.
#
#   .ci/conformance.sh KIT [verifier options, such as --max 200]
#
# KIT is a folder with recorded.jsonl.xz, replay_upstream.py and verify_replay.py. CHUNK=bytes:7 cuts the streams of
# the replay server into pieces of seven bytes (default: event by event).
set -euo pipefail
cd "$(dirname "$0")/.."
kit=$(cd "$1" && pwd)
shift
chunk=${CHUNK:-event}
python=$PWD/.venv/bin/python
proxyapi=$PWD/.venv/bin/proxyapi
work=$(mktemp -d)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_for() {  # URL
    for _ in $(seq 400); do
        curl -fsS -o /dev/null "$1" 2>/dev/null && return
        sleep 0.05
    done
    echo "nothing answers at $1" >&2
    cat "$work"/*.log >&2
    exit 1
}

"$python" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' \
    "$kit/recorded.jsonl.xz" >"$work/recorded.jsonl"

replay_port=$(free_port)
"$python" "$kit/replay_upstream.py" --data "$work/recorded.jsonl" --port "$replay_port" --chunk "$chunk" \
    >"$work/replay.log" 2>&1 &
pids+=($!)
wait_for "http://127.0.0.1:$replay_port/__rows?endpoint=models.list"

# The verifier picks a row by the header x-replay-id, so the gateway has to let it pass; recorded refusals of a key
# (401, 402) have to be seen too.
replay=http://127.0.0.1:$replay_port
cat >"$work/proxyapi.toml" <<EOF
access_log = false

[pause]
enabled = false
EOF
while read -r provider path; do
    cat >>"$work/proxyapi.toml" <<EOF

[providers.$provider]
base_url = "$replay$path"
api_key = "replay"
forward_headers = ["x-replay-id"]
credential_errors = "pass"
EOF
done <<EOF
openai /openai/v1
anthropic /anthropic
google /google
openrouter /openrouter/v1
deepseek /deepseek
EOF

data=$work/data
mkdir "$data"
"$proxyapi" account create replay --data "$data" --json >/dev/null
"$proxyapi" deposit replay 1000000 --data "$data" --json >/dev/null
key=$("$proxyapi" key create replay --data "$data" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["key"])')

gateway_port=$(free_port)
"$proxyapi" serve --listen "127.0.0.1:$gateway_port" --config "$work/proxyapi.toml" --data "$data" \
    >"$work/gateway.log" 2>&1 &
pids+=($!)
wait_for "http://127.0.0.1:$gateway_port/readyz"

"$python" "$kit/verify_replay.py" "$work/recorded.jsonl" "$replay" "$@" >"$work/direct.txt"
"$python" "$kit/verify_replay.py" "$work/recorded.jsonl" "http://127.0.0.1:$gateway_port" --key "$key" "$@" \
    >"$work/through.txt"

echo "straight from the replay server: $(grep '^total' "$work/direct.txt")"
echo "through the gateway:             $(grep '^total' "$work/through.txt")"
"$proxyapi" audit --data "$data"
if ! diff "$work/direct.txt" "$work/through.txt" >"$work/difference.txt"; then
    echo "the gateway changes what the SDKs read:" >&2
    head -40 "$work/difference.txt" >&2
    exit 1
fi
