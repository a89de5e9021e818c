"""The team's buckets: make them, copy them to a folder, copy them back.

python buckets.py make
python buckets.py save FOLDER
python buckets.py load FOLDER

`save` copies what the folder lacks, or has in another size or older; `load` what the bucket lacks, or has in another
size. Nothing is deleted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

BUCKETS = ("DEGRAIN_DVC_BUCKET", "DEGRAIN_MLFLOW_BUCKET")


def make(s3: Any, buckets: list[str]) -> int:
    """Make the buckets that are missing, and return how many."""
    present = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    missing = [bucket for bucket in buckets if bucket not in present]
    for bucket in missing:
        s3.create_bucket(Bucket=bucket)
    return len(missing)


def save(s3: Any, buckets: list[str], folder: Path) -> int:
    """Copy every object to FOLDER/BUCKET/KEY, and return how many were copied."""
    copied = 0
    for bucket in buckets:
        for key, size, when in _objects(s3, bucket):
            path = folder / bucket / key
            if path.exists() and path.stat().st_size == size and path.stat().st_mtime >= when:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.partial")
            s3.download_file(bucket, key, str(partial))
            os.utime(partial, (when, when))
            partial.replace(path)
            copied += 1
    return copied


def load(s3: Any, buckets: list[str], folder: Path) -> int:
    """Copy every file of FOLDER/BUCKET to the bucket, and return how many were copied."""
    copied = 0
    for bucket in buckets:
        present = {key: size for key, size, _ in _objects(s3, bucket)}
        root = folder / bucket
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".partial"):
            key = path.relative_to(root).as_posix()
            if present.get(key) != path.stat().st_size:
                s3.upload_file(str(path), bucket, key)
                copied += 1
    return copied


def _objects(s3: Any, bucket: str) -> Iterator[tuple[str, int, float]]:
    """Name, bytes and time of change of every object."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            yield found["Key"], found["Size"], found["LastModified"].timestamp()


def main(verb: str, *folders: str) -> None:
    """Do what is asked for, and say what was done."""
    s3 = boto3.client("s3")
    buckets = [os.environ[name] for name in BUCKETS]
    if verb == "make":
        done = f"{make(s3, buckets)} of {len(buckets)} buckets made"
    elif verb in ("save", "load") and len(folders) == 1:
        make(s3, buckets)
        done = f"{(save if verb == 'save' else load)(s3, buckets, Path(folders[0]))} files copied"
    else:
        sys.exit(__doc__)
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(*sys.argv[1:] or ("",))
