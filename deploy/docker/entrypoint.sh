#!/bin/sh
# A service by its name, `secrets`, or the command line.
case ${1-} in
  secrets) main=deploy/docker/secrets/main.js ;;
  *) main=services/${1-}/main.js ;;
esac
if [ -n "${1-}" ] && [ -f "/app/dist/$main" ]; then
  shift
  exec node "/app/dist/$main" "$@"
fi
exec node /app/dist/cli/main.js "$@"
