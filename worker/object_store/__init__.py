"""All traffic with the bucket: put, verify, fetch, clean.

A put either ends with an object that was verified to hold the announced bytes, or raises and
leaves at most something under the generation's own prefix, which `clean` removes. Not built on
`upload_fileobj`: that one hangs when parts fail and leaves them behind when it is cancelled.
"""

from worker.object_store.client import StoreSettings
from worker.object_store.faults import concerns_store
from worker.object_store.fetch import ObjectGone
from worker.object_store.metadata import metadata_of
from worker.object_store.store import ObjectStore, open_object_store

__all__ = [
    "ObjectGone",
    "ObjectStore",
    "StoreSettings",
    "concerns_store",
    "metadata_of",
    "open_object_store",
]
