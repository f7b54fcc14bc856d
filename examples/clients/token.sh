#!/bin/sh
# Prints a token, for gRPC metadata or a header on the bus: a JWT of five minutes, signed with an Ed25519 key.
#   token.sh KEYFILE operator:NAME|swarm:NAME [FEDERATION]
# A key that is not there yet is made. What a token must hold is said in libs/protocol/token.ts.
set -eu
key=$1 subject=$2 federation=${3:-main}
umask 077
[ -f "$key" ] || openssl genpkey -algorithm ed25519 -out "$key"

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
public() { openssl pkey -in "$key" -pubout -outform DER | tail -c 32; }

kid=$(public | openssl dgst -sha256 -binary | base64url | cut -c 1-22)
now=$(date +%s)
head=$(printf '{"alg":"EdDSA","typ":"JWT","kid":"%s","jwk":{"kty":"OKP","crv":"Ed25519","x":"%s"}}' \
  "$kid" "$(public | base64url)" | base64url)
body=$(printf '{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d}' \
  "$subject" "$subject" "$federation" "$now" $((now + 300)) | base64url)
signed=$(mktemp)
trap 'rm -f "$signed"' EXIT
printf '%s.%s' "$head" "$body" > "$signed"
printf '%s.%s.%s\n' "$head" "$body" "$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$signed" | base64url)"
