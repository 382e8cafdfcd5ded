#!/usr/bin/env bash
# Shows that the command line of an OpenClaw release, as npm has it, works with `gw serve`.
#
#   tests/e2e/openclaw.sh VERSION
#
# Seen to work: 2026.3.23, 2026.4.22 and 2026.4.25 on Node 22, 2026.9.6 on Node 24. Needs Linux, npm
# and a Node to run it with, `ip`, and root or user namespaces. Node and the release are installed
# once into the folder $GW_E2E_CACHE (~/.cache/gw-e2e without it; 200 and up to 600 MB each), and no
# script of theirs is run for it. All else is in a scratch folder, with homes of its own for the
# command line, and in a network namespace that has loopback only. GW and ADAPTER name built
# programs; without, a debug build is made. The first step that surprises ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/common.sh
. tests/e2e/release.sh

[ $# = 1 ] || { usage; exit 2; }
release "$1"
alone "$0" "$@"
begin
# An address of this host that is not loopback: from there nobody is paired without being asked.
ip address add 172.18.0.1/32 dev lo

# -- What is expected ----------------------------------------------------------------------------

# expect WHAT CODE TEXT…: holds the last run against its exit code, and texts that it has to show.
# `failed` is any code but 0.
expect() {
  local what=$1 wanted=$2 text
  shift 2
  case $wanted in
    failed) [ "$code" != 0 ] || surprise "$what: exit code 0, where it should fail" ;;
    *) [ "$code" = "$wanted" ] || surprise "$what: exit code $code, and not $wanted" ;;
  esac
  for text in "$@"; do
    [[ $said == *"$text"* ]] || surprise "$what: it does not say \`$text\`"
  done
  ok "$what ($ran)"
}
surprise() {
  not_ok "$1" "$ran" "$said" "" "the gateway decided:" \
    "$(tail -n 6 "$state/decisions.jsonl" | cut -c 1-1200)" "$(cat "$scratch/gateway.err")"
}

# -- What is remembered --------------------------------------------------------------------------

remembered() { echo '{"op":"read"}' | "$ADAPTER" "$state"; }

# The one request that waits.
request() {
  remembered | node -p 'const { pending } = JSON.parse(require("fs").readFileSync(0)); const ids = Object.keys(pending); ids.length === 1 ? ids[0] : `${ids.length} requests`'
}

# approved DEVICE: its scopes.
approved() { remembered | json ".paired['$1']?.scopes?.join(' ')"; }

# paired_for_reading DEVICE PUBLIC-KEY: makes this all that is remembered.
paired_for_reading() {
  local record='{ "deviceId": "'$1'", "publicKey": "'$2'", "platform": "linux", "clientId": "cli", "clientMode": "cli",
    "role": "operator", "roles": ["operator"], "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
    "createdAtMs": 1770000000000, "approvedAtMs": 1770000000000,
    "tokens": { "operator": { "token": "a-token-of-an-earlier-pairing", "role": "operator", "scopes": ["operator.read"], "createdAtMs": 1770000000000 } } }'
  tr -d '\n' <<< "{ \"op\": \"seed\", \"paired\": { \"$1\": $record }, \"pending\": {} }" | "$ADAPTER" "$state" > /dev/null
  [ "$(approved "$1")" = operator.read ] || not_ok "the device is paired for reading only" "$(remembered)"
}

# owner WORD…: runs gw itself, which finds the unix socket in the state folder.
owner() {
  ran="gw $*"
  code=0
  said=$("$GW" "$@" --state "$state" 2>&1 < /dev/null) || code=$?
}

knock() { node tests/e2e/knock.mjs "$@" || true; }

# -- A clean state -------------------------------------------------------------------------------

section "openclaw $version: a clean state, the default policy, over loopback"
serve "$scratch/gateway" --port 0 --bind lan
home local "$port" "$token"
# First, as whoever sets up a gateway does: in releases from 2026.4.15 this pairs the command line
# for reading only, and their own gateway then refuses it everything else (#69397).
openclaw local gateway status
expect "gateway status, before anything else" 0 "$probed" "Listening:"
openclaw local gateway call health
expect "gateway call health" 0 '"ok": true'
openclaw local devices list
if [ "$sends_device" ]; then
  expect "devices list shows this very command line" 0 "Paired (1)" operator
else
  expect "devices list: it has no device here" 0 "No device pairing entries"
fi

# A device elsewhere asks; a proxy's header stands for elsewhere.
elsewhere=("ws://127.0.0.1:$port" --token "$token" --device elsewhere --header 'X-Forwarded-For: 10.0.0.9')
came=$(knock "${elsewhere[@]}")
waiting=$(json .requestId <<< "$came")
[ -n "$waiting" ] || not_ok "a device elsewhere has to wait" "$came"
openclaw local devices list
expect "devices list shows the request of a device elsewhere" 0 "Pending (1)" "$waiting"
openclaw local devices approve "$waiting"
expect "devices approve" 0 "Approved" "$waiting"
came=$(knock "${elsewhere[@]}")
[ "$(json .outcome <<< "$came")" = admitted ] || not_ok "the device elsewhere is in" "$came"
ok "the device elsewhere is in"
openclaw local devices approve "$waiting"
expect "devices approve, once more: told that there is none" failed request
openclaw local gateway status
expect "gateway status" 0 "$probed"

# -- From another address ------------------------------------------------------------------------

section "openclaw $version: from an address that is not loopback, the default policy"
home far "$port" "$token"
there=(--url "ws://172.18.0.1:$port" --token "$token")
# 2026.9.6 makes itself a device only for some commands, and this is one.
openclaw far cron list "${there[@]}"
waiting=$(request)
expect "a first command has to wait, and names the request" failed "pairing required" "$waiting"
device=$(remembered | json ".pending['$waiting'].deviceId")
key=$(remembered | json ".pending['$waiting'].publicKey")

paired_for_reading "$device" "$key"
openclaw far devices list "${there[@]}"
waiting=$(request)
expect "paired for reading only, devices list has to wait, and names the request" failed scope "$waiting"
openclaw local devices list
expect "devices list over loopback shows it" 0 "$waiting"
openclaw local devices approve "$waiting"
expect "devices approve over loopback" 0 "Approved" "$waiting"
openclaw far devices list "${there[@]}"
expect "devices list" 0 "Paired ("
openclaw far gateway call health "${there[@]}"
expect "gateway call health" 0 '"ok": true'
# Commands that only read keep no token, and from 2026.9.6 on a probe is a device's where it has one.
openclaw far cron list "${there[@]}"
expect "cron list is the business of another server" failed "unknown method"
openclaw far gateway status "${there[@]}"
expect "gateway status" 0 "$probed"

# -- Paired for reading only: #69397 -------------------------------------------------------------

section "openclaw $version: paired for reading only, the default policy, over loopback"
home far "$port" "$token"
paired_for_reading "$device" "$key"
openclaw far gateway call health
expect "gateway call health" 0 '"ok": true'
if [ "$sends_device" ]; then
  [[ $(approved "$device") == *operator.admin* ]] || not_ok "the record is upgraded without asking" "$(remembered)"
  ok "the record is upgraded without asking: $(approved "$device")"
else
  [ "$(approved "$device")" = operator.read ] || not_ok "the record stays" "$(remembered)"
  ok "no device was sent, and the record stays"
fi
paired_for_reading "$device" "$key"
openclaw far devices list
expect "devices list" 0 "Paired (1)"
paired_for_reading "$device" "$key"
came=$(knock "${elsewhere[@]}")
waiting=$(json .requestId <<< "$came")
openclaw far devices approve "$waiting"
expect "devices approve" 0 "Approved" "$waiting"
paired_for_reading "$device" "$key"
openclaw far gateway status
expect "gateway status" 0 "$probed"
stop

# -- The same, where the owner wants to be asked -------------------------------------------------

section "openclaw $version: paired for reading only, and a policy that asks about everybody over TCP"
cat > "$scratch/ask.policy" <<'POLICY'
gw-policy 1
extends "built-in:default.policy"
guard [ask-the-owner] transport=tcp and pairing in { unpaired, upgrade } → require-pairing
POLICY
serve "$scratch/gateway" --port 0 --policy "$scratch/ask.policy"
home far "$port" "$token"
paired_for_reading "$device" "$key"
openclaw far gateway call health
if [ "$sends_device" ]; then
  waiting=$(request)
  expect "gateway call health has to wait, and names the request" failed "pairing required" "$waiting"
  # Refused on loopback, they look into OpenClaw's own files, where the request is not.
  openclaw far devices list
  expect "devices list has to wait too" 0 "gateway connect failed" "local fallback"
  openclaw far devices approve "$waiting"
  expect "it cannot approve itself" failed "gateway connect failed"
  [ "$(request)" = "$waiting" ] || not_ok "the request is still the same" "$(remembered)"
  ok "after all these attempts the request is still the same"
else
  expect "gateway call health: no device is sent, so there is nothing to upgrade" 0 '"ok": true'
  openclaw far devices list
  expect "devices list" 0 "Paired (1)"
  came=$(knock "ws://127.0.0.1:$port" --token "$token" --device elsewhere)
  waiting=$(request)
fi
owner devices list
expect "the owner sees the request, with neither token nor device" 0 "1 request waits" "${waiting%%-*}"
owner devices approve "$waiting" --yes
expect "the owner approves it" 0
openclaw far gateway call health
expect "gateway call health" 0 '"ok": true'
openclaw far devices list
expect "devices list" 0 "Paired ("
openclaw far gateway status
expect "gateway status" 0 "$probed"
stop

section "openclaw $version: every step came out as expected"
