"""How to meet each error: commands against the local stack, and what the rest needs."""  # noqa: INP001 - a folder of documents, not a package

from docs.tables import table

SETUP = """\
api=http://127.0.0.1:8000 state=.longshore json='Content-Type: application/json'
get() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
secret() { get "$2" < "$state/$1.json"; }

# a form, and asking with its token
created=$(curl -s $api/v1/forms -H "$json" -d '{"type": "therapist_signup"}')
form=$api/v1/forms/$(get id <<< "$created")
auth="Authorization: Bearer $(get token <<< "$created")"
ask() { curl -s -H "$auth" "$@"; }

# send standard input for a field, and wait for what becomes of it
to() { echo "$form/fields/$1/uploads"; }
send() { ask -H 'Prefer: wait=20' "$(ask -F 'file=@-;filename=file' "$(to "$1")" | get url)"; }
# begin an upload of tus, and send a byte of one
begun() { ask -i -X POST -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 9' $form/fields/licence/tus |
  tr -d '\\r' | sed -n "s|^location: |$api|p"; }
byte() { ask -X PATCH -H 'Tus-Resumable: 1.0.0' -H "Upload-Offset: $2" \\
  -H 'Content-Type: application/offset+octet-stream' -d a "$1" "${@:3}"; }
broken=$(printf '%%PDF-1.7 and no more' | send licence | get id)

# the back end, the internal listener, and bytes that no HTTP client would send
by_back_end() { curl -s -H "Authorization: Bearer $(secret stack service_key)" "$@"; }
inside() { curl -s -H "Authorization: Bearer $(secret secrets internal_secret)" -H "$json" \\
  "$(secret stack internal_url)/internal/$1" "${@:2}"; }
raw() { exec 3<> "/dev/tcp/$(sed 's|http://||; s|:|/|' <<< $api)"; printf "$1" >&3; cat <&3; }"""
"""For bash, in the checkout; the commands below go on from it."""

_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_NO_BYTES = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
_PART = r'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'

COMMANDS = {
    "bad-request": "curl -s -H 'Host: a/b' $api/v1/form-types",
    "malformed-json": """curl -s -H "$json" -d '{' $api/v1/forms""",
    "malformed-multipart": "ask -H 'Content-Type: multipart/form-data; boundary=x' -d '--x' "
    "$(to licence)",
    "unsupported-transfer-encoding": f"printf -- '{_PART}"
    r"Content-Transfer-Encoding: uuencode\r\n\r\na\r\n--x--\r\n' | "
    "ask -H 'Content-Type: multipart/form-data; boundary=x' --data-binary @- $(to licence)",
    "inconsistent-length": "ask -H 'Upload-Complete: ?1' -H 'Upload-Length: 2' -d a "
    "$form/fields/licence/tus",
    "fragment-not-supported": "ask -H 'Content-Range: bytes 0-0/2' -F 'file=a;filename=a' "
    "$(to licence)",
    "unauthorized": "curl -s $form",
    "foreign-origin": "curl -s -H 'Origin: https://elsewhere.example' -d full_name=Ada $api/",
    "not-found": "ask $api/v1/forms/frm_none",
    "method-not-allowed": "ask -X PUT $form",
    "not-acceptable": "ask -H 'Accept: image/png' $form/events",
    "too-many-files": "ask -F 'a=a;filename=a' -F 'b=b;filename=b' $(to licence)",
    "upload-not-reusable": 'ask -H "$json" -d "{\\"from\\": \\"$broken\\"}" $(to licence)',
    "not-stored": "ask $api/v1/uploads/$broken/content",
    "not-flagged": "by_back_end -X POST $api/v1/uploads/$broken/release",
    "not-failed": "ask -X POST $api/v1/uploads/$broken/retry",
    "precondition-failed": """ask -X PATCH -H 'If-Match: "0"' -H "$json" -d '{}' $form""",
    "request-too-large": 'head -c 400000 /dev/zero | curl -s -H "$json" --data-binary @- '
    "$api/v1/forms",
    "file-too-large": "head -c 21000000 /dev/zero | ask -T - $(to licence)/large",
    "form-full": """python3 -c 'import json
print(json.dumps({f: "a" * 60000 for f in "full_name email phone bio website".split()}))' |
ask -X PATCH -H "$json" -d @- $form""",
    "uri-too-long": "curl -s $api/$(head -c 9000 /dev/zero | tr '\\0' a)",
    "unsupported-media-type": "ask -d a $(to licence)",
    "unsupported-content-encoding": "ask -H \"$json\" -H 'Content-Encoding: gzip' -d '{}' "
    "$api/v1/forms",
    "invalid-request": """curl -s -H "$json" -d '{"type": 1}' $api/v1/forms""",
    "unknown-field": """ask -X PATCH -H "$json" -d '{"headshoot": ""}' $form""",
    "unknown-form-type": """curl -s -H "$json" -d '{"type": "signup"}' $api/v1/forms""",
    "form-incomplete": "ask -X POST $form/submit",
    "file-missing": "ask -F text=a $(to licence)",
    "file-empty": "ask -F 'file=;filename=a' $(to licence)",
    "key-reused": "for each in a b; do printf $each | ask -T - $(to certificates)/one; done",
    "digest-mismatch": f"ask -H 'Repr-Digest: {_NO_BYTES}' -F 'file=a;filename=a' $(to licence)",
    "header-too-large": "ask -H \"Cookie: $(head -c 20000 /dev/zero | tr '\\0' a)\" $form",
    "method-not-implemented": r"raw 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'",
    "fetch-not-supported": "ask $form/fields/licence/filepond?fetch=http://a.example/",
    "unsupported-transfer-coding": "ask -H 'Transfer-Encoding: gzip' -T /dev/null $(to licence)/a",
    "http-version-not-supported": r"raw 'GET / HTTP/3.0\r\nHost: a\r\n\r\n'",
    "file-invalid-type": "echo text | send licence",
    "file-corrupt": "printf '%%PDF-1.7 and no more' | send licence",
    "image-too-small": f"base64 -d <<< {_PNG} | send headshot",
    "wrong-offset": "byte $(begun) 1",
    "piece-mismatch": "ask -F dzuuid=a -F dzchunkindex=3 -F dztotalfilesize=9 -F dzchunksize=3 "
    "-F dztotalchunkcount=3 -F dzchunkbyteoffset=9 -F 'file=a;filename=a' $(to licence)",
    "upload-gone": "byte $api/v1/uploads/$broken 0",
    "tus-version": "ask -X PATCH $api/v1/uploads/$broken",
    "checksum-mismatch": "byte $(begun) 0 -H 'Upload-Checksum: sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk='",
    "stale-generation": "inside uploads/$broken/heartbeat -d "
    """'{"generation": 9, "stage": "validating"}'""",
    "upload-final": """inside uploads/$broken/claim -d '{"claim_id": "by-hand-1"}'""",
}
"""What answers with the code, after `SETUP`."""

NEEDS = {
    "request-timeout": "`raw 'GET / HTTP/1.1\\r\\n'`, and `RECEIVE_HEAD_SECONDS` (15 s)",
    "form-submitted": "a form that was submitted: its token changes nothing any more",
    "uploads-pending": "to be quick: `POST` to `$form/submit` while a large file is checked",
    "upload-running": "two uploads with one `Idempotency-Key` at the same time, the first of them "
    "slow (`curl --limit-rate 1k`)",
    "upload-locked": "two `PATCH`es of one upload at the same time, the first of them slow",
    "not-released": "a field with `flag` in its definition, and a file that has such a finding",
    "too-many-requests": "a 21st stream of one form: "
    "`for n in {1..21}; do ask -m 2 $form/events & done; wait`",
    "too-many-forms": "`MAX_DRAFTS_PER_HOUR=1 ./longshore up`, and two forms",
    "internal-error": "a fault of ours: none is known",
    "unavailable": "a database that is stopped, or a volume that is taken away",
    "storage-full": "`MIN_FREE_BYTES=1000000000000000 ./longshore up`, and an upload",
    "file-too-small": "a field with `min_bytes`, and a smaller file",
    "file-encrypted": "a PDF with a password: `qpdf --encrypt a a 256 -- a.pdf b.pdf`",
    "file-has-active-content": 'a field with `pdf.active_content = "reject"`, and such a PDF',
    "file-has-attachments": 'a field with `pdf.attachments = "reject"`, and such a PDF',
    "file-has-forms": 'a field with `pdf.xfa = "reject"`, and such a PDF',
    "file-has-macros": 'a field with `document.macros = "reject"`, and such a document',
    "file-infected": "a scanner (`CLAMD_ADDRESS`), and the EICAR test file",
    "file-unscannable": "a scanner, a field with `pdf.encrypted = true`, and a PDF with a password",
    "file-too-complex": "a field that takes it, and a GIF of over 10,000 frames or a TIFF of over "
    "2,000 pages",
    "file-too-many-pages": "a PDF with more pages than `pdf.max_pages`",
    "image-animated": 'a field with `image.animation = "reject"`, and an animated GIF or WebP',
    "image-too-large": "an image of more than 100 million pixels",
    "attempts-exhausted": "a worker that is killed with `kill -9` at each attempt",
    "deadline-passed": "`DEADLINE_SECONDS=60 ./longshore up`, a worker that is stopped "
    "(`kill -STOP`), and an upload",
    "bytes-expired": "a `failed` upload, and `FAILED_KEEP_SECONDS`",
    "bytes-lost": "a staged file that is deleted from the volume before a worker has it",
    "bytes-changed": "a staged file that is changed on the volume before a worker has it",
    "object-lost": "an upload that reuses a stored one, and the object taken out of the bucket",
    "upload-held": "a claim of an upload that another worker has",
    "upload-not-due": "a claim of an upload during its backoff",
}
"""What the other codes need."""


def provoking() -> str:
    """The chapter: what to paste first, a command a code, and what the others need."""
    commands = "\n\n".join(f"# {code}\n{command}" for code, command in COMMANDS.items())
    others = table(("Code", "What it needs"), ((f"`{c}`", needs) for c, needs in NEEDS.items()))
    return f"```bash\n{SETUP}\n```\n\n```bash\n{commands}\n```\n\n{others}"
