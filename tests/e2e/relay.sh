#!/usr/bin/env bash
# Shows that an OpenClaw release behind `gw serve` works, with its own command line, node host and
# agents, and what it does without: twice the same steps, of a device that is paired for reading only.
#
#   tests/e2e/relay.sh VERSION
#
# Seen to work: 2026.3.23, 2026.4.15, 2026.4.22 and 2026.4.25 on Node 22, 2026.9.6 on Node 24. Needs
# what openclaw.sh needs. The release listens at a port of its own with a token of its own, once
# behind gw and once alone, and a model on loopback does what it is told. Each step prints
# `ok`, `differs` with what was seen, or `not there` where the release has no such command, or its agents
# no such tool without plugins; at the end stands a row for each step. It exits with 1 if a step differs.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/common.sh
. tests/e2e/release.sh

[ $# = 1 ] || { usage; exit 2; }
release "$1"
alone "$0" "$@"
begin
PATH=$GW_NODE:$PATH

# -- What is expected ----------------------------------------------------------------------------

# What a device that is paired for reading gets there when it asks for more.
case $version in
  2026.3.* | 2026.9.*) upgrade=ok ;;
  *) upgrade=refused ;;
esac
[ "$sends_device" ] && devices='Paired (' || devices='No device pairing entries'

steps=()
declare -A came
differs=0

# step SIDE WHAT EXPECTED TEXT: holds the last run against what is expected of it, `ok` or `refused`.
# TEXT is what it says where it went well.
step() {
  local side=$1 what=$2 expected=$3 text=$4 outcome
  case $said in
    *'pairing required'* | *'scope upgrade pending'* | *'device identity required'*) outcome=refused ;;
    *'Unknown tool id'* | *'unknown command'* | *'unknown option'* | *'too many arguments'*) outcome='not there' ;;
    'gw was not asked'*) outcome='not through gw' ;;
    *"$text"*) [ "$code" = 0 ] && outcome=ok || outcome="exit code $code" ;;
    *) outcome='says something else' ;;
  esac
  [[ " ${steps[*]/%/;} " == *" $what; "* ]] || steps+=("$what")
  came[$side/$what]=$outcome
  if [ "$outcome" = "$expected" ] || [ "$outcome" = 'not there' ]; then
    printf '%-9s %s, %s: %s\n' "${outcome/refused/ok}" "$side" "$what" "${outcome/#ok/$ran}"
  else
    differs=$((differs + 1))
    printf 'differs   %s, %s: %s, where it should be %s\n' "$side" "$what" "$outcome" "$expected"
    printf '%s\n' "$ran" "$(head -n 30 <<< "$said")" "$(evidence "$side")" | cut -c 1-400 | sed 's/^/          /'
  fi
}

evidence() {
  if [ "$1" = through ]; then
    tail -n 3 "$state/decisions.jsonl" | cut -c 1-600
    tail -n 5 "$scratch/gateway.err"
    tail -n 5 "$scratch/behind.out"
  else
    tail -n 5 "$scratch/alone.out"
  fi
}

# agent SIDE HOME EXPECTED TOOL INPUT TEXT: the release's agent calls a tool, as the model is told.
# Behind gw that takes connections of its own (beside that of the command line), but where the
# release calls itself within its process.
agent() {
  local side=$1 home=$2 expected=$3 tool=$4 input=$5 text=$6 params before after
  params=$(node -p 'JSON.stringify({ message: `call ${process.argv[1]} ${process.argv[2]}`, sessionKey: "agent:main:main", idempotencyKey: process.argv[3] })' \
    "$tool" "$input" "$home-$tool")
  before=$(admitted)
  # The first one of 2026.4.25 waits for plugins to be unpacked.
  patience=300 openclaw "$home" gateway call agent --expect-final --timeout 290000 --params "$params"
  after=$(admitted)
  step "$side" "agent: $tool" "$expected" "$text"
  if [ "$side" = through ]; then
    local calls=$((after - before - 1))
    said="$calls at gw"
    [ $((calls > 0)) = $((${#moved[@]} > 0)) ] && code=0 || code=1
    step "$side" "self-calls of $tool" ok "$said"
    came["$side/self-calls of $tool"]=$said
  fi
}
admitted() { grep -c '"verdict":"\(silent-\)\?approve"' "$state/decisions.jsonl" || true; }

# paired_for_reading HOME URL TOKEN: makes the command line's device one that is paired for reading.
paired_for_reading() {
  local identity=$scratch/$1/state/identity/device.json
  # It makes itself a device before it finds that nobody is there.
  [ "$sends_device" ] || return 0
  openclaw "$1" gateway call health --url ws://127.0.0.1:9 --token none
  local knocked
  knocked=$(node tests/e2e/knock.mjs "$2" --token "$3" --identity "$identity" --scopes operator.read) \
    || not_ok "the command line is paired for reading only" "$knocked"
}

# commands SIDE HOME EXPECTED: those of the command line that people report.
commands() {
  local side=$1 home=$2 expected=$3
  openclaw "$home" gateway call health
  step "$side" 'gateway call health' "$expected" '"ok": true'
  openclaw "$home" devices list
  step "$side" 'devices list' "$expected" "$devices"
  openclaw "$home" cron add --name far --at 2031-01-01T00:00:00Z --session main --system-event hello
  step "$side" 'cron add' "$expected" '"id"'
  openclaw "$home" cron list
  step "$side" 'cron list' "$expected" 'far'
  openclaw "$home" nodes list
  step "$side" 'nodes list' "$expected" 'Paired:'
  openclaw "$home" gateway call sessions.list
  step "$side" 'gateway call sessions.list' "$expected" '"sessions"'
}

# node_host HOME: a node host with this home, at gw.
node_host() {
  in_home "$1" env "OPENCLAW_GATEWAY_TOKEN=$token" node "$cli" node run --host 127.0.0.1 --port "$port" \
    --display-name "node-of-$1" > "$scratch/$1.node" 2>&1 &
  releases+=($!)
}

# connected_as HOME: the id that the command line sees of its node, once that is connected.
connected_as() {
  local left=20 id=
  until [ "$id" ] || [ $((left -= 1)) = 0 ]; do
    openclaw through gateway call node.list --json
    id=$(json ".nodes.find((node) => node.displayName === 'node-of-$1' && node.connected)?.nodeId" <<< "$said" || true)
  done
  echo "${id:-$said}"
}

# device_of HOME: the id of its node's device, as gw remembers it.
device_of() {
  local id
  id=$(remembered | json ".paired" | json "[Object.keys(it).find((id) => it[id].displayName === 'node-of-$1')]?.deviceId")
  echo "${id:-no node of $1}"
}
remembered() { echo '{"op":"read"}' | "$ADAPTER" "$state"; }
owner() { "$GW" "$@" --state "$state" > /dev/null; }

# -- Through gw ----------------------------------------------------------------------------------

section "openclaw $version behind gw"
node tests/e2e/model.mjs > "$scratch/model.out" &
started+=($!)
until [ -s "$scratch/model.out" ]; do sleep 0.05; done
model=$(cat "$scratch/model.out")
serve_in_front
home through "$port" "$token"
paired_for_reading through "ws://127.0.0.1:$port" "$token"
openclaw through gateway status
step through 'gateway status' ok "$probed"
commands through through ok

# With the home of the release itself, whose port and token stand there: what goes before them.
# before_its_own WHAT NAME=VALUE…
before_its_own() {
  local what=$1 before
  shift
  before=$(admitted)
  environment=("$@")
  openclaw behind cron list
  environment=()
  [ "$(admitted)" -gt "$before" ] || said="gw was not asked: $said"
  step through "cron list, $what" ok 'far'
}
before_its_own 'by two variables' "OPENCLAW_GATEWAY_URL=ws://127.0.0.1:$port" "OPENCLAW_GATEWAY_TOKEN=$token"
before_its_own 'by OPENCLAW_CONFIG_PATH' "OPENCLAW_CONFIG_PATH=$scratch/through/state/openclaw.json"

agent through through ok sessions_spawn '{"task":"say hello"}' '\"accepted\"'

# A node host on another device than the command line's is let in by the default policy.
home node "$port" "$token"
node_host node
said=$(connected_as node) code=0 ran='openclaw node run'
step through 'node run' ok "$(device_of node)"
agent through through ok nodes '{"action":"status"}' '\"node-of-node\"'
if [ ! "$sends_device" ]; then
  openclaw through nodes pending --json
  openclaw through nodes approve "$(json '[0].requestId' <<< "$said")"
  step through 'nodes approve' ok "$(device_of node)"
fi
openclaw through nodes invoke --node "$(device_of node)" --command system.which --params '{"bins":["sh"]}'
step through 'nodes invoke' ok '/bin/sh'

# One on the command line's own device raises its role: the owner is asked, and it is started again.
if [ "$sends_device" ]; then
  node_host through
  waiting=
  left=200
  until [ "$waiting" ] || [ $((left -= 1)) = 0 ]; do
    waiting=$(remembered | json '.pending' | json "[Object.keys(it)[0]]?.requestId")
  done
  [ "$waiting" ] || not_ok "the node host has to wait" "$(cat "$scratch/through.node")"
  owner devices approve "$waiting" --yes
  node_host through
  said=$(connected_as through) code=0 ran='openclaw node run'
  step through 'node run as the same device, approved' ok "$(device_of through)"
fi
stop

# -- Straight at the release ---------------------------------------------------------------------

section "openclaw $version alone"
alone=$(free_port)
release_runs alone "$alone"
paired_for_reading alone "ws://127.0.0.1:$alone" "$theirs"
openclaw alone gateway status
step straight 'gateway status' ok "$probed"
commands straight alone "$upgrade"
agent straight alone "$upgrade" sessions_spawn '{"task":"say hello"}' '\"accepted\"'
agent straight alone "$upgrade" nodes '{"action":"status"}' '\"nodes\"'

section "openclaw $version"
printf '| %s | through gw | straight, paired for reading |\n| --- | --- | --- |\n' "$version"
for what in "${steps[@]}"; do
  printf '| %s | %s | %s |\n' "$what" "${came[through/$what]:--}" "${came[straight/$what]:--}"
done
[ "$differs" = 0 ]
