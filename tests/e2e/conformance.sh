#!/usr/bin/env bash
# Drives a live gateway through recorded cases, and compares its answers with the recordings.
#
#   tests/e2e/conformance.sh DRIVER [RELEASE] [CONFIGURATION…]
#
# DRIVER is a folder with drive.mjs, compare.mjs and the recordings under observed/. RELEASE is one
# of policies/openclaw (2026.4.22 without). Needs Linux, root (a network namespace of its own, that
# no packet leaves, with the addresses that the cases come from) and Node.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${GW_INSIDE:-}" ]; then
  [ $# -ge 1 ] || { sed -n '2,9p' "$0"; exit 2; }
  [ -n "${GW_BUILT:-}" ] || cargo build --release --bin gw --example state-adapter
  GW_TARGET=$(cargo metadata --format-version 1 --no-deps | node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
  export GW_TARGET
  GW_INSIDE=1 exec unshare -n "$0" "$@"
fi

driver=$(realpath "$1")
release=${2:-2026.4.22}
shift; [ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- token-loopback none-loopback token-lan trusted-proxy
port=19001

ip link set lo up
for address in 192.168.77.1/24 192.168.77.9/24 192.168.77.50/24 172.18.0.1/16 203.0.113.50/24 203.0.113.60/24 100.64.0.1/10 100.64.0.9/10; do
  ip address add "$address" dev lo
done

scratch=$(mktemp -d)
gateway=
stop() {
  [ -z "$gateway" ] || { kill "$gateway" 2>/dev/null || true; wait "$gateway" 2>/dev/null || true; gateway=; }
}
trap 'stop; rm -rf "$scratch"' EXIT
token=3f9a1c77e0b24d58a6c1

# The settings of a configuration, as its row start/CONFIGURATION has them.
settings() {
  echo "policy: $PWD/policies/openclaw/$release.policy"
  echo "state: $scratch/$1"
  echo "log: { decisions: { file: false } }"
  # The driver keeps many connections that it does not use any more.
  echo "limits: { unadmittedPerAddress: 32 }"
  local bind=loopback origins='controlUi: { allowedOrigins: ["https://ui.example.com"] }'
  local limit='rateLimit: { maxAttempts: 1000000, windowMs: 1000, lockoutMs: 1000, exemptLoopback: false }'
  case $1 in *-loopback) ;; *) bind=lan; echo "$origins" ;; esac
  echo "listen: { bind: $bind, port: $port, socket: false }"
  case $1 in
    token-*) echo "auth: { mode: token, token: { env: GW_TOKEN }, $limit }" ;;
    none-*) echo "auth: { mode: none, $limit }" ;;
    trusted-proxy)
      echo "auth: { mode: trusted-proxy, trustedProxy: { userHeader: x-forwarded-user }, $limit }"
      echo "trustedProxies: [192.168.77.9, 127.0.0.1]" ;;
    *) echo "unknown configuration $1" >&2; exit 2 ;;
  esac
}

for configuration in "$@"; do
  settings "$configuration" > "$scratch/gw.yaml"
  GW_TOKEN=$token "$GW_TARGET/release/gw" serve --config "$scratch/gw.yaml" > "$scratch/out" 2> "$scratch/err" &
  gateway=$!
  until [ -s "$scratch/out" ]; do
    kill -0 "$gateway" 2>/dev/null || { cat "$scratch/err"; exit 1; }
    sleep 0.05
  done
  secret=(--token "$token")
  case $configuration in none-*|trusted-proxy) secret=() ;; esac
  # Each configuration was recorded with the cases that concern it.
  case $configuration in
    token-loopback) profile=full ;; none-*) profile=none ;; token-*) profile=lan ;; *) profile=$configuration ;;
  esac
  rm -f "$scratch/ours.jsonl"
  node "$driver/drive.mjs" --url "ws://127.0.0.1:$port/" "${secret[@]}" --profile "$profile" --timeout 4000 \
    --state-adapter "exec:$GW_TARGET/release/examples/state-adapter $scratch/$configuration" \
    --config-label "$configuration" --label ours --out "$scratch/ours.jsonl"
  stop
  for level in decision wire; do
    node "$driver/compare.mjs" "$driver/observed/$release.jsonl.gz" "$scratch/ours.jsonl" --level "$level" --cfg "^$configuration\$"
  done
  [ -z "${GW_KEEP:-}" ] || cp "$scratch/ours.jsonl" "$GW_KEEP/$configuration.jsonl"
done
