#!/bin/sh
# Installs what tests start privately: Debian's PostgreSQL, PgBouncer and RabbitMQ, Node, Chromium and React for the JavaScript
# client, and a C compiler for the clock of tests/dates. Nothing is left running by it.
set -eu

missing=""
[ -n "${CALLBOARD_TEST_DATABASE_URL:-}" ] || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ||
    missing="$missing postgresql"
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
[ -n "${CALLBOARD_TEST_AMQP_URL:-}" ] || ls -d /usr/lib/rabbitmq/lib/rabbitmq_server-* >/dev/null 2>&1 ||
    missing="$missing rabbitmq-server"
command -v node >/dev/null || missing="$missing nodejs"
command -v chromium >/dev/null || missing="$missing chromium"
[ -e /usr/share/nodejs/react/umd/react.development.js ] || missing="$missing node-react"
[ -e /usr/share/nodejs/react-dom/umd/react-dom.development.js ] || missing="$missing node-react-dom"
{ command -v cc >/dev/null && [ -e /usr/include/time.h ]; } || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
    if ! $as_root true 2>/dev/null; then
        echo "Tests need these packages, and installing them needs root:$missing" >&2
        echo "Install them, or set CALLBOARD_TEST_DATABASE_URL and CALLBOARD_TEST_AMQP_URL to servers of yours." >&2
        exit 1
    fi
fi
command -v apt-get >/dev/null || { echo "Tests need these packages:$missing. Install them." >&2; exit 1; }

# Packages start their service on installation unless this file says no. It is removed again if it is ours.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
echo "Installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
