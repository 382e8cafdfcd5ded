#!/usr/bin/env bash
# Shows that the command line of an OpenClaw release, as npm has it, works with `gw serve`.
#
#   tests/e2e/openclaw.sh VERSION
#
# Seen to work: 2026.3.23, 2026.4.22 and 2026.4.25 on Node 22, 2026.9.6 on Node 24. Needs Linux, npm
# and a Node to run it with, `ip`, and root or user namespaces. Node and the release are installed
# once into the folder $GW_E2E_CACHE (~/.cache/gw-e2e without it; 200 and up to 600 MB each), and no
# script of theirs is run for it. All else is in a scratch folder, with a home of its own for the
# command line, and in a network namespace that has loopback only. GW and ADAPTER name built
# programs; without, a debug build is made. The first step that surprises ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/common.sh

[ $# = 1 ] || { sed -n '2,12p' "$0"; exit 2; }
version=$1
case $version in 2026.[1-4].*) node_major=22 ;; *) node_major=24 ;; esac
cache=${GW_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gw-e2e}

# -- What npm has --------------------------------------------------------------------------------

# package FOLDER NAME: installs a package into a folder of its own in the cache. Half of one is not
# taken for one.
package() {
  local folder=$cache/$1
  [ ! -d "$folder" ] || return 0
  echo "installing $2"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  # Later releases of linkedom need a package that not every registry has.
  echo '{ "private": true, "overrides": { "linkedom": "0.18.12" } }' > "$folder.new/package.json"
  (cd "$folder.new" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$2") >&2
  mv "$folder.new" "$folder"
}

if [ -z "${GW_INSIDE:-}" ]; then
  # `node@22` has a script that installs this one.
  platform=$(node -p 'process.platform + "-" + process.arch')
  package "node-$node_major" "node-$platform@$node_major"
  export GW_NODE=$cache/node-$node_major/node_modules/node-$platform/bin
  PATH=$GW_NODE:$PATH package "openclaw-$version" "openclaw@$version"
  [ -z "${GW_INSTALL_ONLY:-}" ] || exit 0
  build
  export GW_INSIDE=1
  [ "$(id -u)" = 0 ] && exec unshare --net "$0" "$@"
  exec unshare --map-root-user --net "$0" "$@"
fi
