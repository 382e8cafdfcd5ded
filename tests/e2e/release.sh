# What openclaw.sh and relay.sh share: a release of OpenClaw, as npm has it, and its command line.
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
    2026.[1-3].*) probed='RPC probe: ok' ;;
    *) probed='Connectivity probe: ok' ;;
  esac
}

# package FOLDER NAME: installs a package into a folder of its own in the cache. Half of one is not
# taken for one.
package() {
  local folder=$cache/$1
  [ ! -d "$folder" ] || return 0
  echo "installing $2"
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  # Later releases of linkedom need a package that not every registry has, and earlier ones of a
  # messenger's library have libsignal from a host that is no registry.
  echo '{ "private": true, "overrides": { "linkedom": "0.18.12", "libsignal": "npm:libsignal@6.0.0" } }' \
    > "$folder.new/package.json"
  (cd "$folder.new" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$2") >&2
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
put_back() { umount /tmp/openclaw && { rmdir /tmp/openclaw 2> /dev/null || true; }; }

# -- Its command line ----------------------------------------------------------------------------

# home NAME PORT TOKEN [MORE]: a home for the command line, with a gateway and its token in the
# configuration. MORE is put in front of the rest of it.
home() {
  mkdir -p "$scratch/$1/state"
  cat > "$scratch/$1/state/openclaw.json" <<CONFIG
{
  ${4:-}
  "gateway": { "mode": "local", "port": $2, "auth": { "mode": "token", "token": "$3" } },
  "plugins": { "enabled": false },
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

# openclaw NAME WORD…: runs it. Sets ran, said to all that it printed, and code.
openclaw() {
  local home=$1
  shift
  ran="openclaw $*"
  ran=${ran//"$token"/TOKEN}
  code=0
  said=$(in_home "$home" timeout -k 5 60 node "$cli" "$@" 2>&1 < /dev/null) || code=$?
}
