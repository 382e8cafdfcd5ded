#!/usr/bin/env bash
# Shows who is let in from where, as containers and proxies make it, with the policies as they are.
#
#   tests/e2e/containers.sh
#
# Needs Linux, root, `ip`, `unshare`, `nsenter`, `setpriv` and Node 22. Networks are namespaces of
# its own, which end with it: no packet leaves the machine. GW names a built gw; without, a debug
# build is made. Each line says what was expected of which client, and what came; the first that
# differs is explained, and ends it.
#
#        host 172.18.0.1 ──┬── gateway 172.18.0.2   (the gateway, and what shares its namespace)
#   (published ports)      └── other   172.18.0.3   (another container)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/common.sh
if [ -z "${GW_INSIDE:-}" ]; then
  [ "$(id -u)" = 0 ] || { usage; exit 2; }
  build
  GW_INSIDE=1 exec unshare --net "$0" "$@"
fi
begin

# -- Networks and users --------------------------------------------------------------------------

# namespace NAME ADDRESS: a container's network, at the bridge. Sets NAME to what runs a command
# in it.
namespace() {
  unshare --net sleep infinity &
  local holder=$! link=gw-$1
  started+=("$holder")
  local -n runs=$1
  runs=(nsenter --target "$holder" --net)
  until [ "$(readlink "/proc/$holder/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
  ip link add "$link" type veth peer name eth0 netns "$holder"
  ip link set "$link" master bridge up
  "${runs[@]}" sh -c "ip link set lo up; ip address add $2/16 dev eth0; ip link set eth0 up"
}
ip link set lo up
ip link add bridge type bridge
ip address add 172.18.0.1/16 dev bridge
ip link set bridge up
namespace at_gateway 172.18.0.2
namespace at_other 172.18.0.3
at_host=()

# Of the numbers only this counts, that they differ: nobody has to have an account.
as_owner=(setpriv --reuid 61001 --regid 61001 --clear-groups)
as_another=(setpriv --reuid 61002 --regid 61002 --clear-groups)

# Where every user can read them.
install -m 755 "$GW" "$scratch/gw"
install -m 644 tests/e2e/knock.mjs tests/e2e/forward.mjs "$scratch"
node=$(readlink -f "$(command -v node)")
chmod 711 "$scratch"
GW=$scratch/gw
gateway_runs=("${at_gateway[@]}" "${as_owner[@]}")

# gateway NAME [OPTION…]: a gateway with an empty state.
gateway() {
  install -d -m 700 -o 61001 -g 61001 "$scratch/$1"
  serve "$scratch/$1" --bind lan --port 18789 "${@:2}"
  log=$state/decisions.jsonl
}

# forwarder WHERE… -- ARGUMENT…: starts one, and waits until it listens. Sets forwarding.
forwarder() {
  local where=()
  while [ "$1" != -- ]; do where+=("$1"); shift; done
  shift
  rm -f "$scratch/forward.out"
  "${where[@]}" "$node" "$scratch/forward.mjs" "$@" > "$scratch/forward.out" &
  forwarding=$!
  started+=("$forwarding")
  until [ -s "$scratch/forward.out" ]; do
    kill -0 "$forwarding" 2>/dev/null || not_ok "the forwarder does not listen"
    sleep 0.05
  done
}
unforward() { kill "$forwarding"; wait "$forwarding" || true; }

# -- Knocking ------------------------------------------------------------------------------------

decided() { grep -c '"kind":"decided"' "$log" 2>/dev/null || true; }

# knock WHERE… -- URL [OPTION…]: what the client prints goes to `came`.
knock() {
  local where=()
  while [ "$1" != -- ]; do where+=("$1"); shift; done
  shift
  came=$("${where[@]}" "$node" "$scratch/knock.mjs" "$@" || true)
}

# expect WHAT VERDICT CLAUSE WHERE… -- URL [OPTION…]: knocks, and holds what the log says of it
# against what is expected. VERDICT is a verdict as a policy writes it; CLAUSE is who decided, `*`
# for any.
expect() {
  local what=$1 verdict=$2 clause=$3 before line said by left=60
  shift 3
  before=$(decided)
  knock "$@"
  until [ "$(decided)" != "$before" ]; do
    [ $((left -= 1)) -gt 0 ] || not_ok "$what: expected $verdict, and nothing was decided" "$came"
    sleep 0.05
  done
  line=$(grep '"kind":"decided"' "$log" | tail -n 1)
  said=$(json .verdict <<< "$line")
  [ "$said" != reject ] || said="reject($(json .reason <<< "$line"))"
  by=$(json .by <<< "$line")
  local got
  got=$(json .outcome <<< "$came")
  local wanted=refused
  case $verdict in *approve) wanted=admitted ;; esac
  # shellcheck disable=SC2053 # CLAUSE is a pattern
  if [ "$said" = "$verdict" ] && [[ $by == $clause ]] && [ "$got" = "$wanted" ]; then
    ok "$what: $said by [$by], $got"
  else
    not_ok "$what: expected $verdict by [$clause] and $wanted, came $said by [$by] and $got" "$came" \
      "$("$GW" explain --log "$log" --connection "$(json .connection <<< "$line")" 2>&1)"
  fi
}

# -- What every policy has in common -------------------------------------------------------------

inside=ws://127.0.0.1:18789
bridged=ws://172.18.0.2:18789
proxied=ws://172.18.0.2:8080
published=ws://127.0.0.1:18789
page=(--client openclaw-control-ui/webchat --header 'Origin: http://127.0.0.1:18789')
# The rules of the default policy that have no label, also where another policy extends it.
unlabelled='*default.policy:*'

# approve WHOSE: the owner approves the request that the last client was told of.
approve() {
  local request
  request=$(json .requestId <<< "$came")
  [ -n "$request" ] || not_ok "the refusal names the request that waits" "$came"
  came=$("${as_owner[@]}" "$GW" devices approve "$request" --yes --state "$state" 2>&1) \
    || not_ok "the owner approves the request of $1" "$came"
  ok "the owner approves the request of $1 (gw devices approve)"
}

shared_namespace() {
  section "$1: a client in the gateway's own network namespace"
  expect "the command line, called by the service's name" silent-approve "$unlabelled" \
    "${at_gateway[@]}" "${as_owner[@]}" -- $inside --token "$token" --device cli --host openclaw-gateway:18789
  expect "the same device again, asking for more" silent-approve "$unlabelled" \
    "${at_gateway[@]}" "${as_owner[@]}" -- $inside --token "$token" --device cli --scopes operator.admin,operator.pairing
  expect "the same without a device: nothing to pair" approve "$unlabelled" \
    "${at_gateway[@]}" "${as_owner[@]}" -- $inside --token "$token"
  expect "the same with a wrong token" 'reject(token-mismatch)' wrong-credentials \
    "${at_gateway[@]}" "${as_owner[@]}" -- $inside --token "not-$token" --device cli
  expect "a helper, without a device" approve backend-on-this-host \
    "${at_gateway[@]}" "${as_owner[@]}" -- $inside --token "$token" --client gateway-client/backend
  # docker.policy has a rule of its own for helpers on the bridge, the gateway's own among them.
  expect "a helper that dials the gateway's own address" approve 'backend-*' \
    "${at_gateway[@]}" "${as_owner[@]}" -- $bridged --token "$token" --client gateway-client/backend --device helper
  expect "the command line of another user" require-pairing another-user \
    "${at_gateway[@]}" "${as_another[@]}" -- $inside --token "$token" --device cli-of-another
}

unix_socket() {
  section "$1: the unix socket"
  expect "the owner, without token and device" approve owner-at-the-socket \
    "${as_owner[@]}" -- "$socket" --scopes operator.admin,operator.pairing
  expect "root, without token and device" approve owner-at-the-socket \
    -- "$socket" --scopes operator.admin,operator.pairing
  knock "${as_another[@]}" -- "$socket" --token "$token"
  case $came in
    *EACCES*) ok "another user does not reach it: permission denied" ;;
    *) not_ok "another user does not reach it" "$came" ;;
  esac
}

same_host_proxy() {
  section "$1: a proxy on the gateway's host"
  forwarder "${at_gateway[@]}" "${as_another[@]}" -- 0.0.0.0 8080 127.0.0.1 18789 'X-Forwarded-For: {client}'
  expect "with a forwarding header" require-pairing proxied-local \
    "${at_other[@]}" -- $proxied --token "$token" --device behind
  expect "the same without a device" 'reject(device-required)' proxied-without-device \
    "${at_other[@]}" -- $proxied --token "$token"
  unforward
  forwarder "${at_gateway[@]}" "${as_another[@]}" -- 0.0.0.0 8080 127.0.0.1 18789 'Via: 1.1 proxy'
  expect "with a trace that is no forwarding header" require-pairing proxied-local \
    "${at_other[@]}" -- $proxied --token "$token" --device behind
  unforward
  forwarder "${at_gateway[@]}" "${as_another[@]}" -- 0.0.0.0 8080 127.0.0.1 18789
  expect "without any header, of another user" require-pairing another-user \
    "${at_other[@]}" -- $proxied --token "$token" --device behind
  expect "the same without a device" 'reject(device-required)' another-user-without-device \
    "${at_other[@]}" -- $proxied --token "$token"
  expect "the same, called a helper" 'reject(device-required)' another-user-without-device \
    "${at_other[@]}" -- $proxied --token "$token" --client gateway-client/backend
  unforward
  forwarder "${at_gateway[@]}" "${as_owner[@]}" -- 0.0.0.0 8080 127.0.0.1 18789
  expect "without any header, of the gateway's own user: the limit that docs/default-policy.md names" silent-approve "$unlabelled" \
    "${at_other[@]}" -- $proxied --token "$token" --device behind-the-owner
  unforward
}

# -- The default policy --------------------------------------------------------------------------

gateway default
shared_namespace "the default policy"
unix_socket "the default policy"
same_host_proxy "the default policy"

section "the default policy: another container on the bridge"
expect "without a token" 'reject(token-missing)' no-credentials \
  "${at_other[@]}" -- $bridged --device other
expect "without a device" 'reject(device-required)' "$unlabelled" \
  "${at_other[@]}" -- $bridged --token "$token"
expect "a helper" require-pairing "$unlabelled" \
  "${at_other[@]}" -- $bridged --token "$token" --client gateway-client/backend --device helper-elsewhere
expect "the command line, with the token" require-pairing "$unlabelled" \
  "${at_other[@]}" -- $bridged --token "$token" --device other
approve "the other container"
expect "the other container is in" approve known-device \
  "${at_other[@]}" -- $bridged --token "$token" --device other

section "the default policy: a port published on the host"
forwarder "${at_host[@]}" -- 127.0.0.1 18789 172.18.0.2 18789
expect "the command line" require-pairing "$unlabelled" \
  "${at_host[@]}" -- $published --token "$token" --device published
expect "a page from elsewhere" 'reject(origin-not-allowed)' foreign-page \
  "${at_host[@]}" -- $published --token "$token" --device browser --client openclaw-control-ui/webchat --header 'Origin: https://evil.example'
expect "the dashboard" require-pairing page-behind-a-bridge \
  "${at_host[@]}" -- $published --token "$token" --device browser "${page[@]}"
approve "the dashboard"
expect "the dashboard is in" approve known-device \
  "${at_host[@]}" -- $published --token "$token" --device browser "${page[@]}"
unforward
stop

printf 'trustedProxies: [127.0.0.1]\n' > "$scratch/trusting.yaml"
gateway trusting --config "$scratch/trusting.yaml"
section "the default policy: a proxy on the gateway's host that is trusted to say for whom it speaks"
forwarder "${at_gateway[@]}" "${as_another[@]}" -- 0.0.0.0 8080 127.0.0.1 18789 'X-Forwarded-For: {client}'
expect "the command line in another container" require-pairing proxied-local \
  "${at_other[@]}" -- $proxied --token "$token" --device behind
approve "the other container"
expect "it is in" approve known-device \
  "${at_other[@]}" -- $proxied --token "$token" --device behind
unforward
forwarder "${at_gateway[@]}" "${as_another[@]}" -- 0.0.0.0 8080 127.0.0.1 18789 'X-Forwarded-For: 127.0.0.1'
expect "a client that forged a local address" require-pairing proxied-local \
  "${at_other[@]}" -- $proxied --token "$token" --device forger
unforward
stop

# -- policies/docker.policy ----------------------------------------------------------------------

gateway docker --policy built-in:docker.policy
shared_namespace docker.policy
unix_socket docker.policy
same_host_proxy docker.policy

section "docker.policy: another container, and a published port"
expect "the command line in another container" silent-approve cli-in-a-container \
  "${at_other[@]}" -- $bridged --token "$token" --device other --host openclaw-gateway:18789
expect "a helper in another container" approve backend-in-a-container \
  "${at_other[@]}" -- $bridged --token "$token" --client gateway-client/backend
expect "the same with a wrong token" 'reject(token-mismatch)' wrong-credentials \
  "${at_other[@]}" -- $bridged --token "not-$token" --device other
expect "the dashboard in another container" require-pairing page-behind-a-bridge \
  "${at_other[@]}" -- $bridged --token "$token" --device browser-elsewhere --host 127.0.0.1:18789 "${page[@]}"
forwarder "${at_host[@]}" -- 127.0.0.1 18789 172.18.0.2 18789
expect "the command line through a published port" require-pairing "$unlabelled" \
  "${at_host[@]}" -- $published --token "$token" --device published
expect "the dashboard through a published port" silent-approve page-through-a-published-port \
  "${at_host[@]}" -- $published --token "$token" --device browser "${page[@]}"
unforward
forwarder "${at_host[@]}" -- 127.0.0.1 18789 172.18.0.2 18789 'X-Forwarded-For: 203.0.113.9'
expect "the dashboard through a proxy on the host" require-pairing '*' \
  "${at_host[@]}" -- $published --token "$token" --device browser-behind "${page[@]}"
unforward
stop

section "every case came out as expected"
