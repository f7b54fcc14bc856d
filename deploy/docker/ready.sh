#!/bin/bash
# Exit code 0 when the service in this container is ready. Without a process of Node, which would cost more than the answer.
exec 3<>"/dev/tcp/127.0.0.1/$HIVEBUS_HEALTH_PORT" || exit 1
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
answer=$(cat <&3)
echo "${answer##*$'\r\n\r\n'}"
[[ $answer == 'HTTP/1.'?' 200 '* ]]
