#!/bin/sh
# Make the bucket, unless it is there. Runs in the store's own network, where its shell listens.
set -eu

shell() {
    echo "$1" | weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888
}

there() {
    shell s3.bucket.list | grep -q "^ *$S3_BUCKET[[:space:]]"
}

# Its shell ends with success whatever happens, and making a bucket again would change it.
there || shell "s3.bucket.create -name $S3_BUCKET"
there
