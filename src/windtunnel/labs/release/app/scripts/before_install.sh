#!/bin/bash
set -e
here=$(dirname "$(dirname "$(readlink -f "$0")")")
sleep "$(cat "$here/pause.txt")"
mkdir -p /opt/webapp
