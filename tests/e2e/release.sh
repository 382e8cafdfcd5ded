# What openclaw.sh, relay.sh and control-ui.sh share: a release of OpenClaw, as npm has it, its
# command line and its gateway.
#
# common.sh comes first. Node and the release are installed once into the folder $GW_E2E_CACHE
# (~/.cache/gw-e2e without it; 200 and up to 600 MB each), and no script of theirs is run for it.

# release VERSION: says which one. Sets version, node_major, cache, cli, sends_device and probed.
release() {
  version=$1
  case $version in 2026.[1-4].*) node_major=22 ;; *) node_major=24 ;; esac
  cache=$(realpath -m "${GW_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gw-e2e}")
  cli=$cache/openclaw-$version/node_modules/openclaw/openclaw.mjs
  # Later ones send no device over loopback, and ask only for what a command needs.
  case $version in 2026.[1-4].*) sends_device=yes ;; *) sends_device= ;; esac
  # What its `gateway status` says of a gateway that let it in.
  case $version in
    2026.[1-3].* | 2026.4.? | 2026.4.1?) probed='RPC probe: ok' ;;
    *) probed='Connectivity probe: ok' ;;
  esac
}

# package FOLDER NAME…: installs packages into a folder of its own in the cache. Half of one is not
# taken for one.
package() {
  local folder=$cache/$1
  shift
  [ ! -d "$folder" ] || return 0
  echo "installing $*"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  # Later releases of linkedom need a package that not every registry has, and earlier ones of a
  # messenger's library have libsignal from a host that is no registry.
  echo '{ "private": true, "overrides": { "linkedom": "0.18.12", "libsignal": "npm:libsignal@6.0.0" } }' \
    > "$folder.new/package.json"
  (cd "$folder.new" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$@") >&2
  mv "$folder.new" "$folder"
}

# alone SCRIPT [WORD…]: installs the release, builds what is tested, and runs the script once more,
# in a network namespace that has loopback only, and in one of processes that ends with it, as some
# releases end only when they are killed. There it does nothing but bring loopback up.
alone() {
  if [ -z "${GW_INSIDE:-}" ]; then
    # `node@22` has a script that installs this one.
    local platform
    platform=$(node -p 'process.platform + "-" + process.arch')
    package "node-$node_major" "node-$platform@$node_major"
    export GW_NODE=$cache/node-$node_major/node_modules/node-$platform/bin
    PATH=$GW_NODE:$PATH package "openclaw-$version" "openclaw@$version"
    [ -z "${browser:-}" ] || package "$browser" @sparticuz/chromium puppeteer-core
    build
    export GW_INSIDE=1
    [ "$(id -u)" = 0 ] && exec unshare --net --mount --pid --fork --kill-child --mount-proc "$@"
    exec unshare --map-root-user --net --mount --pid --fork --kill-child --mount-proc "$@"
  fi
  # Some releases log there, whatever is configured. Nobody else sees this one.
  mkdir -p /tmp/openclaw
  mount -t tmpfs none /tmp/openclaw
  # Plugins would install what they need when they are loaded. No registry is here, and nobody is to
  # wait for one: npm is nothing here.
  mount --bind /dev/null "$(realpath "$(command -v npm)")"
  ip link set lo up
}

# -- Its command line ----------------------------------------------------------------------------

# home NAME PORT TOKEN [MORE]: a home for the command line, with a gateway and its token in the
# configuration. MORE is put in front of the rest of it.
home() {
  mkdir -p "$scratch/$1/state"
  cat > "$scratch/$1/state/openclaw.json" <<CONFIG
{
  ${4:-}
  "gateway": { "mode": "local", "port": $2, "auth": { "mode": "token", "token": "$3" } },
  "plugins": { "enabled": false, "slots": { "memory": "none" } },
  "update": { "checkOnStart": false },
  "discovery": { "mdns": { "mode": "off" } },
  "logging": { "file": "$scratch/$1/openclaw.log" }
}
CONFIG
}

# in_home NAME WORD…: goes on as something with this home, and nothing else of this environment. It
# takes the place of its shell, and starts no other in its own place, so that whoever ends that ends it.
in_home() {
  local home=$scratch/$1
  shift
  exec env -i PATH="$GW_NODE:/usr/bin:/bin" HOME="$home" OPENCLAW_STATE_DIR="$home/state" TMPDIR="$scratch" \
    OPENCLAW_NO_RESPAWN=1 NODE_OPTIONS=--disable-warning=ExperimentalWarning \
    OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1 NO_COLOR=1 COLUMNS=160 "$@"
}

# openclaw NAME WORD…: runs it, with what stands in environment besides. Sets ran, said to all that
# it printed, and code. It has $patience seconds, 60 without.
environment=()
openclaw() {
  local home=$1
  shift
  ran="openclaw $*"
  ran=${ran//"$token"/TOKEN}
  code=0
  said=$(in_home "$home" env "${environment[@]}" timeout -k 5 "${patience:-60}" node "$cli" "$@" 2>&1 < /dev/null) || code=$?
}

# -- Its gateway ---------------------------------------------------------------------------------

# Its token, which only gw is to know.
theirs=the-token-of-the-release
# The port of a model for its agents, where there is one.
model=0

free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }

# release_runs NAME PORT [NAME=VALUE…]: starts the release's gateway with a home of its own, and more
# in its environment, and waits until it lets somebody in, and still does a moment later: some listen
# long before, and some are busy for long after.
release_runs() {
  local name=$1 at=$2 left=120 in_a_row=0 came
  shift 2
  home "$name" "$at" "$theirs" '"models": { "providers": { "loopback": {
    "baseUrl": "http://127.0.0.1:'"$model"'/v1", "apiKey": "none", "api": "openai-completions",
    "models": [{ "id": "scripted", "name": "scripted", "reasoning": false, "input": ["text"],
      "cost": { "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 }, "contextWindow": 200000, "maxTokens": 8192 }] } } },
  "agents": { "defaults": { "model": { "primary": "loopback/scripted" }, "workspace": "'"$scratch/$name/workspace"'" } },
  "tools": { "profile": "full" },'
  in_home "$name" env "$@" node "$cli" gateway run --port "$at" --bind loopback > "$scratch/$name.out" 2>&1 &
  releases+=($!)
  until [ "$in_a_row" = 5 ]; do
    came=$(node tests/e2e/knock.mjs "ws://127.0.0.1:$at" --token "$theirs") && in_a_row=$((in_a_row + 1)) || in_a_row=0
    kill -0 "${releases[-1]}" 2> /dev/null && [ $((left -= 1)) -gt 0 ] \
      || not_ok "the release lets nobody in" "$came" "$(cat "$scratch/$name.out")"
    sleep 1
  done
}
releases=()
# Some end only when they are killed.
put_back() {
  local process
  for process in "${releases[@]}"; do kill -KILL "$process" 2> /dev/null || true; done
  for process in "${releases[@]}"; do wait "$process" 2> /dev/null || true; done
  umount /tmp/openclaw && { rmdir /tmp/openclaw 2> /dev/null || true; }
  # Helpers of theirs end a moment later.
  until rm -rf "$scratch" 2> /dev/null; do sleep 0.2; done
}

# serve_in_front: starts gw with a release behind it, as `behind`, whose calls of itself go through gw
# where they are calls over a socket at all. Sets moved, the environment that does it.
serve_in_front() {
  local behind
  behind=$(free_port)
  (umask 077 && echo "$theirs" > "$scratch/upstream-token")
  serve "$scratch/gateway" --port 0 --upstream "ws://127.0.0.1:$behind" --upstream-token-file "$scratch/upstream-token"
  case $version in
    2026.[1-4].*) moved=("OPENCLAW_GATEWAY_URL=ws://127.0.0.1:$port" "OPENCLAW_GATEWAY_TOKEN=$token") ;;
    *) moved=() ;;
  esac
  release_runs behind "$behind" "${moved[@]}"
}
