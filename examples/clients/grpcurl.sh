#!/bin/sh
# The same with grpcurl (https://github.com/fullstorydev/grpcurl), and a task.
#   grpcurl.sh [ADDRESS] [KEYFILE]
set -eu
address=${1:-127.0.0.1:7701} key=${2:-grpcurl.key}
here=$(cd "$(dirname "$0")" && pwd)

grpcurl -plaintext "$address" list
grpcurl -plaintext "$address" describe hivebus.pool.v1.ResourcePoolService.SubmitTask
grpcurl -plaintext "$address" hivebus.registry.v1.RegistryService/ListSwarms

token="authorization: Bearer $("$here/token.sh" "$key" swarm:grpcurl)"
grpcurl -plaintext -H "$token" -d '{"name": "grpcurl"}' "$address" hivebus.registry.v1.RegistryService/RegisterSwarm
grpcurl -plaintext -H "$token" -d '{"spec": {"swarm": "grpcurl", "type": "upper", "payload": {"text": "hello"}}}' \
  "$address" hivebus.pool.v1.ResourcePoolService/SubmitTask
