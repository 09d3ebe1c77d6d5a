#!/bin/sh
# Installs what is missing of a list of Debian packages: scripts/deps.sh [LIST]. Asks for root only then.
set -eu
list=${1:-$(dirname "$0")/deps.txt}
packages=$(sed 's/#.*//' "$list")

if ! command -v apt-get >/dev/null; then
    echo "note: no apt-get here; these packages, under their names elsewhere, are needed:" $packages
    exit 0
fi
missing=
for package in $packages; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

# Libraries of another architecture, NAME:ARCHITECTURE, need to be known of first.
architectures=$(printf '%s\n' $missing | sed -n 's/.*:\(.*\)/\1/p' | sort -u)

root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "error: not root and no sudo; install as root:$missing" >&2; exit 1; }
    root=sudo
fi
echo "installing:$missing"
for architecture in $architectures; do
    $root dpkg --add-architecture "$architecture"
done
# Servers are for tests, which start their own: none begins because it was installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '$root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
    $root chmod 755 $policy
fi
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
