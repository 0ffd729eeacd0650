#!/bin/bash
# The new page must answer, and say what this release says.
. /opt/webapp/port.txt
for _ in $(seq 50); do
    if curl -fsS "http://127.0.0.1:$PORT/" | grep -qF "$(cat /opt/webapp/release.txt)"; then
        echo "the page says $(cat /opt/webapp/release.txt)"
        exit 0
    fi
    sleep 0.2
done
echo "the page does not say $(cat /opt/webapp/release.txt)" >&2
exit 1
