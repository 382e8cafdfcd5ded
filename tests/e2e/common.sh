# What openclaw.sh and containers.sh share: a gateway to talk to, a line for each step, and an end
# that leaves nothing behind.
#
# GW and ADAPTER name the programs (build() sets them).

scratch=
started=()

# What stands at the head of the script.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

# What a script has to put back besides.
put_back() { :; }

# Ends what was started here, by its id, and takes the scratch folder away.
finish() {
  local status=$? process
  trap - EXIT
  for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
  for process in "${started[@]}"; do wait "$process" 2>/dev/null || true; done
  put_back
  [ -z "$scratch" ] || rm -rf "$scratch"
  exit "$status"
}

begin() {
  scratch=$(mktemp -d)
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Builds what is tested, unless GW and ADAPTER name it already.
build() {
  if [ -z "${GW:-}" ] || [ -z "${ADAPTER:-}" ]; then
    cargo build --quiet --bin gw --example state-adapter
    local target
    target=$(cargo metadata --format-version 1 --no-deps | node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
    GW=$target/debug/gw ADAPTER=$target/debug/examples/state-adapter
  fi
  export GW ADAPTER
}

section() { printf '\n%s\n' "$*"; }
ok() { printf 'ok      %s\n' "$*"; }

# The first surprise ends the script: what comes later rests on what came before.
not_ok() {
  printf 'not ok  %s\n' "$1"
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/        /'
  exit 1
}

# A value out of JSON on the standard input: `json .requestId`.
json() { node -p "const it = JSON.parse(require('fs').readFileSync(0)); const v = it$1; v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : v"; }

# serve STATE [OPTION…]: starts a gateway with a state folder of its own, and waits until it
# listens. Sets gateway (its id), state, port, token and socket. What stands in gateway_runs is put before
# the command: another namespace, another user.
serve() {
  state=$1
  shift
  rm -f "$scratch/gateway.out"
  "${gateway_runs[@]}" "$GW" serve --state "$state" "$@" > "$scratch/gateway.out" 2> "$scratch/gateway.err" &
  gateway=$!
  started+=("$gateway")
  local left=200
  until grep -qs '^next' "$scratch/gateway.out"; do
    kill -0 "$gateway" 2>/dev/null && [ $((left -= 1)) -gt 0 ] \
      || not_ok "the gateway does not listen" "$(cat "$scratch/gateway.out" "$scratch/gateway.err")"
    sleep 0.05
  done
  port=$(sed -n 's/^listening .*:\([0-9]*\)$/\1/p' "$scratch/gateway.out")
  token=$(cat "$state/token")
  socket=$state/gw.sock
}

stop() {
  kill "$gateway"
  wait "$gateway" || not_ok "the gateway ended with $?" "$(cat "$scratch/gateway.err")"
}
gateway_runs=()
