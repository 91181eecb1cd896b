#!/bin/sh
# The object store with one bucket's keys: the worker's may work in it, the api's may read from it.
# Only the S3 port listens beyond this container; what is behind it has no passwords.
set -eu
umask 077

cat > /tmp/identities.json <<JSON
{
  "identities": [
    {
      "name": "worker",
      "credentials": [
        {"accessKey": "$S3_WORKER_ACCESS_KEY_ID", "secretKey": "$S3_WORKER_SECRET_ACCESS_KEY"}
      ],
      "actions": ["Read:$S3_BUCKET", "Write:$S3_BUCKET", "List:$S3_BUCKET"]
    },
    {
      "name": "api",
      "credentials": [
        {"accessKey": "$S3_API_ACCESS_KEY_ID", "secretKey": "$S3_API_SECRET_ACCESS_KEY"}
      ],
      "actions": ["Read:$S3_BUCKET"]
    }
  ]
}
JSON

# Without peers=none a restart waits 15 s for an election. A stop, 11 to 16 s, waits for connections
# that nobody uses any more (idleTimeout) and for the filer. Of master and filer nobody needs HTTP.
exec weed -logtostderr=true server \
    -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -disableHttp -idleTimeout=5 \
    -master.peers=none -master.telemetry=false -master.volumeSizeLimitMB=1024 \
    -volume.max=0 -volume.preStopSeconds=0 \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.config=/tmp/identities.json \
    -s3.iam=false -s3.autoCreateBucket=false -s3.port.iceberg=0 -s3.port.lance=0
