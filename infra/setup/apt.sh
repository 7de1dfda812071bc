#!/usr/bin/env bash
# Installs the Debian packages whose command is missing; on a machine without apt it says what to install.
#   infra/setup/apt.sh           what tests and training need
#   infra/setup/apt.sh --list    prints "command package" pairs and changes nothing
set -euo pipefail

# command (or file)          package
readonly NEEDED='
java                         openjdk-17-jre-headless
mvn                          maven
redis-server                 redis-server
flite                        flite
espeak-ng                    espeak-ng
chromium                     chromium
docker-compose               docker-compose
shellcheck                   shellcheck
'

if [[ "${1:-}" == --list ]]; then
  awk 'NF == 2' <<<"$NEEDED"
  exit 0
fi

missing=()
while read -r name package; do
  [[ -z "$name" ]] || command -v "$name" >/dev/null 2>&1 || missing+=("$package")
done <<<"$NEEDED"
((${#missing[@]})) || exit 0

sudo=()
if ((EUID != 0)); then sudo=(sudo -n); fi
if ! command -v apt-get >/dev/null 2>&1 || { ((EUID != 0)) && ! sudo -n true 2>/dev/null; }; then
  echo "missing: ${missing[*]} (Debian's names); install them yourself, tests that need them fail without" >&2
  exit 0
fi

echo "installing Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# A package's daemon would take the port and the memory of ours, so none is started: policy-rc.d answers 101.
policy=/usr/sbin/policy-rc.d
if ((EUID == 0)) && [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  trap 'rm -f "$log" "$policy"' EXIT
fi
if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
  >"$log" 2>&1 </dev/null; then
  tail -n 20 "$log" >&2
  echo "apt-get failed; tests that need ${missing[*]} will fail" >&2
fi
