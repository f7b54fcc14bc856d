#!/bin/sh
# The gRPC services with nothing but `buf`, which is among the npm packages: it finds them by server reflection.
#   buf-curl.sh [ADDRESS] [KEYFILE]
set -eu
address=http://${1:-127.0.0.1:7701} key=${2:-buf-curl.key}
here=$(cd "$(dirname "$0")" && pwd)
buf=$here/../../node_modules/.bin/buf
call() { "$buf" curl --protocol grpc --http2-prior-knowledge "$@"; }

call --list-methods "$address"
call "$address/hivebus.registry.v1.RegistryService/GetFederation"

token="authorization: Bearer $("$here/token.sh" "$key" swarm:buf-curl)"
call -H "$token" -d '{"name": "buf-curl", "project": "examples"}' \
  "$address/hivebus.registry.v1.RegistryService/RegisterSwarm"
