#!/bin/sh
# What the official image's entrypoint for users other than root does for compose.yaml: it starts clamd with
# a copy of its settings, and ends if no socket appears where it looks for one. Its patience is half an hour.
set -eu
cp /etc/clamav/clamd.conf /tmp/clamd.conf
clamd --foreground --config-file=/tmp/clamd.conf &
waited=0
while [ ! -S /tmp/clamd.sock ]; do
    [ "$waited" -lt 30 ] || { echo "Failed to start clamd"; exit 1; }
    sleep 1
    waited=$((waited + 1))
done
exec tail -f /dev/null
