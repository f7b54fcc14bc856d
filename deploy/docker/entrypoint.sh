#!/bin/sh
# A service by its name, `secrets`, or the command line; with the young generation that bin/hivebus gives it.
case ${1-} in
  secrets) main=deploy/docker/secrets/main.js ;;
  *) main=services/${1-}/main.js ;;
esac
if [ -n "${1-}" ] && [ -f "/app/dist/$main" ]; then
  shift
  exec node --max-semi-space-size=32 "/app/dist/$main" "$@"
fi
exec node --max-semi-space-size=32 /app/dist/cli/main.js "$@"
