#!/bin/sh
# The bus by hand with the NATS command line (https://github.com/nats-io/natscli).
#   nats.sh [URL] [KEYFILE]
set -eu
url=${1:-nats://127.0.0.1:4222} key=${2:-nats.key}
here=$(cd "$(dirname "$0")" && pwd)
on_bus() { nats --server "$url" "$@"; }

on_bus micro ls
on_bus micro info hivebus-registry
on_bus req hive.main.rpc.registry.ListSwarms '{}'

# An event, heard as it happens: a swarm registers.
on_bus sub 'hive.main.registry.swarm.>' --count 1 &
listening=$!
token="authorization: Bearer $("$here/token.sh" "$key" swarm:nats)"
while kill -0 $listening 2> /dev/null; do # until the subscription stands and has heard one
  on_bus req hive.main.rpc.registry.RegisterSwarm "{\"name\": \"nats\", \"tags\": [\"at-$(date +%s)\"]}" -H "$token"
  sleep 1
done
wait $listening

# The journal itself: every record that was ever decided.
on_bus stream view HIVE_main_registry
