#!/bin/sh
# nginx, with its error log as lines of JSON. Its own format can't be set, and quotes the request
# with its query: what stands from there on is left out.
set -eu

rm -f /tmp/errors
mkfifo -m 600 /tmp/errors
awk '
    {
        time = ""; level = "error"
        if (match($0, /^[0-9\/]+ [0-9:]+ \[[a-z]+\] /)) {
            time = $1 "T" $2 "Z"; level = substr($3, 2, length($3) - 2)
            gsub("/", "-", time)
            $0 = substr($0, RLENGTH + 1)
        }
        sub(/, request: .*/, ""); gsub(/\\/, "/"); gsub(/"/, "\047"); gsub(/[[:cntrl:]]/, " ")
        printf "{\"service\":\"proxy\",\"time\":\"%s\",\"level\":\"%s\",", time, level
        printf "\"event\":\"proxy_error\",\"message\":\"%s\"}\n", $0
        fflush()
    }
' /tmp/errors &
exec nginx -e stderr -g "daemon off;" 2> /tmp/errors
