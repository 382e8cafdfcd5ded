#!/usr/bin/env bash
# Opens the Control UI of an OpenClaw release through `gw serve`, in a Chromium without a window.
#
#   tests/e2e/control-ui.sh VERSION [SCREENSHOT]
#
# Seen to work: 2026.4.25 on Node 22, 2026.9.6 on Node 24. Needs what openclaw.sh needs. Chromium
# comes with the npm packages `@sparticuz/chromium` and `puppeteer-core`, 120 MB in the cache. The
# page is asked of gw, connects to gw, and what it calls after that is answered by the release
# behind. SCREENSHOT is a file for a picture of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/common.sh
. tests/e2e/release.sh

[ $# = 1 ] || [ $# = 2 ] || { usage; exit 2; }
release "$1"
browser=chromium
alone "$0" "$1" "$(realpath -m "${2:-/dev/null}")"
begin
PATH=$GW_NODE:$PATH

section "the Control UI of openclaw $version, through gw"
serve_in_front
shown=$(TMPDIR=$scratch HOME=$scratch node tests/e2e/control-ui.mjs "$cache/$browser" "http://127.0.0.1:$port/#token=$token" "$2") \
  || not_ok "the page can be opened" "$shown" "$(cat "$scratch/gateway.err")"
ok "the page is there: $(json .title <<< "$shown")"
decided=$(grep '"client":"openclaw-control-ui"' "$state/decisions.jsonl" | tail -n 1 || true)
[ "$(json '.answer.admitted' <<< "${decided:-{\}}")" = true ] || not_ok "it is let in" "$decided" "$shown"
ok "it is let in, by [$(json .by <<< "$decided")]: $(json .verdict <<< "$decided")"
# What a release gives to its users only, by its own token over HTTP, is not had through gw: how its
# agent is called, and pictures.
refused=$(json '.refused.filter((one) => !/control-ui-config\.json$|\/avatar(\/|\?|$)/.test(one)).join(" ")' <<< "$shown")
[ -z "$refused" ] || not_ok "what it is made of is there" "$refused" "$shown"
ok "what it is made of is there: $(json .asked <<< "$shown") requests, of which are for users only: $(json .refused.length <<< "$shown")"
[ "$(json .failed.length <<< "$shown")" = 0 ] && [ "$(json .answered.length <<< "$shown")" -gt 5 ] \
  || not_ok "what it calls is answered" "$shown"
ok "what it calls is answered: $(json '.answered.join(", ")' <<< "$shown")"
stop
