"""Print what is in the local bucket: size, date, key. Run in the services' environment."""

import json
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError

from dev.provision_s3 import client


def main(stack_file: Path) -> int:
    s3 = json.loads(stack_file.read_text("utf-8"))["s3"]
    pages = client("s3", s3, s3).get_paginator("list_objects_v2").paginate(Bucket=s3["bucket"])
    count = size = 0
    try:
        for page in pages:
            for item in page.get("Contents", []):
                modified = item["LastModified"].astimezone().strftime("%Y-%m-%d %H:%M:%S")
                print(f"{item['Size']:>12,}  {modified}  {item['Key']}")
                count += 1
                size += item["Size"]
    except BotoCoreError as error:
        print(f"longshore: the bucket does not answer: {error}", file=sys.stderr)
        return 1
    objects = "1 object" if count == 1 else f"{count} objects"
    print(f"{size:>12,}  bytes in {objects} of {s3['endpoint_url']}/{s3['bucket']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
